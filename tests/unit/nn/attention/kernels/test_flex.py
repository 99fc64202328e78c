"""kernel=flex: what the tests of all kernels leave out."""

from typing import Any

import pytest
import torch

from lightning_transformer.build import build
from lightning_transformer.errors import ConfigError
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import ScoreMods
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.flex import Flex
from lightning_transformer.training.preflight.build import check_build
from tests.conftest import TINY, compose_config, noise
from tests.helpers.assembly import MAX_LEN, assemble

B, H, T, K = 2, 4, 6, 4
MASK = noise(B, 1, T, T, seed=3) > -0.5
MASK[0, 0, 2] = False
BIAS = noise(H, T, T, seed=4)
HIDDEN = BIAS.masked_fill(~MASK, -torch.inf)
SCORINGS = [
    ScoreMods(softcap=1.0),
    ScoreMods(sinks=noise(H, seed=9)),
    ScoreMods(softcap=2.0, sinks=noise(H, seed=9)),
]


@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("n_kv_heads", [H, 2])
@pytest.mark.parametrize("one_query", [False, True])
def test_equals_eager(scoring: ScoreMods, n_kv_heads: int, one_query: bool) -> None:
    """One query, as in decoding, takes another way than a square."""
    q = noise(B, H, T, K)[:, :, : 1 if one_query else T]
    k, v = noise(B, n_kv_heads, T, K, seed=1), noise(B, n_kv_heads, T, K, seed=2)
    for mask, bias in ((None, None), (MASK, None), (MASK[:, :, :1], None), (MASK, HIDDEN)):
        rows = slice(2, 3) if one_query else slice(None)  # of row 0 it sees nothing
        if mask is not None and mask.shape[2] == T:
            mask = mask[:, :, rows]
        context = AttentionContext(mask, None if bias is None else bias[:, :, rows])
        wanted = Eager()(q, k, v, context, 0.0, scoring)
        for _ in range(2):  # the second time with the blocks of the first
            y = Flex()(q, k, v, context, 0.0, scoring)
            torch.testing.assert_close(y, wanted, rtol=0, atol=1e-10)


def test_layers_share_the_blocks_of_a_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning_transformer.nn.attention.kernels import flex

    made: list[Any] = []
    true = flex.create_block_mask

    def counted(*args: Any) -> Any:
        made.append(args)
        return true(*args)

    monkeypatch.setattr(flex, "create_block_mask", counted)
    model: Any = assemble(kernel="flex", pattern="local_global", position="rope")
    with torch.no_grad():
        x = model.embedding(torch.zeros(2, MAX_LEN, dtype=torch.long))
        padding = torch.arange(MAX_LEN).expand(2, -1) > 6
        model.decoder(x, padding=padding)
    assert len(made) == 2  # two patterns, whatever the number of layers
    assert len(model.decoder.blocks) == 2
    pattern = assemble(kernel="flex", pattern="sliding_window").decoder
    made.clear()
    with torch.no_grad():
        pattern(x, padding=padding)
    assert len(made) == 1


def test_training_on_a_cpu_is_refused_before_anything_is_read() -> None:
    cfg = compose_config(*TINY, "kernel=flex", "trainer=cpu")
    line = r"^kernel=flex has no gradient on a CPU; use kernel=sdpa or a GPU$"
    with pytest.raises(ConfigError, match=line):
        check_build(cfg, build(cfg, "data"), {})
    x = noise(1, 1, 3, 4).requires_grad_()
    with pytest.raises(ValueError, match=line):
        Flex()(x, x, x, AttentionContext(), 0.0)


def test_dropout_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^attention.dropout=0.1 is not what kernel=flex computes"
    ):
        Flex().check_training("cuda", 0.1)
    Flex().check_training("cuda", 0.0)


def test_mixing_heads_is_refused_when_the_model_is_built() -> None:
    with pytest.raises(ValueError, match=r"needs mix_scores, which kernel=flex does not compute"):
        assemble(kernel="flex", attention="talking_heads")

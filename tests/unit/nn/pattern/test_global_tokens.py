"""pattern=global_tokens."""

from typing import Any

import pytest
import torch

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.pattern.base import Causal
from lightning_transformer.nn.pattern.global_tokens import GlobalTokens
from tests.conftest import noise, tiny
from tests.unit.nn.attention.references import made, shaken
from tests.unit.nn.pattern.drawn import drawn


def test_a_window_and_first_tokens_that_see_all_and_are_seen_by_all() -> None:
    assert drawn(GlobalTokens(window=2, n_global=1), 6) == (
        "xxxxxx\nxxx...\nxxxx..\nx.xxx.\nx..xxx\nx...xx"
    )


def test_causal() -> None:
    assert drawn(GlobalTokens(window=2, n_global=2) & Causal(), 6) == (
        "x.....\nxx....\nxxx...\nxxxx..\nxx.xx.\nxx..xx"
    )


@torch.no_grad()
@pytest.mark.parametrize("n_global", [1, 3])
def test_equals_longformer_of_transformers(n_global: int) -> None:
    """With the same weights for global tokens as for others, which Longformer has twice."""
    modeling = pytest.importorskip("transformers.models.longformer.modeling_longformer")
    d, n, reach = 24, 16, 2  # theirs sees `reach` tokens on each side
    config = modeling.LongformerConfig(
        hidden_size=d,
        num_attention_heads=4,
        attention_window=[2 * reach],
        attention_probs_dropout_prob=0.0,
    )
    theirs: Any = shaken(modeling.LongformerSelfAttention(config, layer_id=0))
    ours = made(MultiHeadAttention, dim=d, bias=True)
    for name, mine in (("query", ours.q), ("key", ours.k), ("value", ours.v)):
        getattr(theirs, f"{name}_global").load_state_dict(getattr(theirs, name).state_dict())
        mine.load_state_dict(getattr(theirs, name).state_dict())
    ours.out.weight.copy_(torch.eye(d))
    ours.out.bias.zero_()
    x, is_global = noise(2, n, d), (torch.arange(n) < n_global).expand(2, n)
    (wanted,) = theirs(
        x,
        attention_mask=10000.0 * is_global.double(),
        is_index_masked=torch.zeros(2, n, dtype=torch.bool),
        is_index_global_attn=is_global,
        is_global_attn=True,
    )
    places = torch.arange(n)
    seen = GlobalTokens(window=reach + 1, n_global=n_global)(places[:, None], places[None, :])
    found = ours(x, AttentionContext(seen[None, None]))
    # They compute weights in float32.
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_a_far_token_reaches_the_last_through_a_global_one_in_two_layers() -> None:
    """In an encoder: through the first token, and not without it."""
    typed = ("model=encoder_only", "pattern.window=2", "model.n_layers=2")
    x = noise(1, 12, 32)
    moved = x.clone()
    moved[:, 5] += 1.0
    for pattern, reaches in (("global_tokens", True), ("sliding_window", False)):
        model: Any = tiny(f"pattern={pattern}", *typed)
        differs = model.encoder(x)[:, 11] != model.encoder(moved)[:, 11]
        assert bool(differs.any()) is reaches


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"window": 0}, "window=0 must be at least 1, for example 1"),
        ({"n_global": 0}, "n_global=0 must be at least 1, for example 1"),
    ],
)
def test_refuses(options: dict[str, int], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}$"):
        GlobalTokens(**options)

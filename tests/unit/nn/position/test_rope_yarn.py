"""position=rope_yarn."""

import math
from typing import Any

import pytest
import torch

from lightning_transformer.nn.position.rope import RoPE
from lightning_transformer.nn.position.rope_yarn import RoPEYaRN
from tests.conftest import noise
from tests.unit.nn.position.scaled import ours, sizes, theirs


@pytest.mark.parametrize(
    ("factor", "original", "more"),
    [
        (4.0, 2048, {}),
        (16.0, 512, {}),
        (32.0, 256, {"beta_fast": 16.0, "beta_slow": 2.0}),
    ],
)
def test_equals_transformers(factor: float, original: int, more: dict[str, float]) -> None:
    given = {"original_max_position_embeddings": original, "factor": factor, **more}
    wanted, amplitude = theirs("yarn", 64, 8192, **given)
    for length in (original, None):  # null: the same, from max_len
        rope = RoPEYaRN(factor=factor, original_len=length, **more, **sizes(max_len=8192))
        torch.testing.assert_close(ours(rope).float(), wanted, rtol=1e-6, atol=0)
        assert rope.amplitude == pytest.approx(amplitude, rel=1e-12)
    assert (ours(rope) < 0.999 * ours(RoPE(**sizes()))).any()


def test_scores_grow_by_the_square_of_the_amplitude() -> None:
    q, k, places = noise(1, 2, 1, 64), noise(1, 2, 1, 64, seed=1), torch.tensor([0])
    rope = RoPEYaRN(factor=4.0, **sizes())
    turned = rope.rotate(q, rope.angles(places)) * rope.rotate(k, rope.angles(places))
    wanted = (q * k).sum(-1) * (0.1 * math.log(4.0) + 1) ** 2
    torch.testing.assert_close(turned.sum(-1), wanted, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"factor": 0.9}, "factor=0.9 must be a number of at least 1.0, for example 1.0"),
        ({"beta_fast": 1.0}, "beta_fast=1.0 must be above beta_slow=1.0, for example 32.0"),
        ({"beta_slow": 0.0}, "beta_slow=0.0 must be a positive number"),
        ({"base": 1.0}, "base=1.0 must be above 1, for example 10000.0"),
        ({"original_len": 0}, "original_len=0 must be at least 1"),
    ],
)
def test_refuses(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}"):
        RoPEYaRN(**options, **sizes())

"""position=rope_linear."""

import pytest
import torch

from lightning_transformer.nn.position.rope import RoPE
from lightning_transformer.nn.position.rope_linear import RoPELinear
from tests.unit.nn.position.scaled import ours, sizes, theirs


@pytest.mark.parametrize("factor", [1.0, 2.5, 8.0])
def test_frequencies_equal_those_of_transformers(factor: float) -> None:
    wanted, amplitude = theirs("linear", 64, 8192, factor=factor)
    rope = RoPELinear(factor=factor, **sizes())
    torch.testing.assert_close(ours(rope).float(), wanted, rtol=1e-6, atol=0)
    assert rope.amplitude == amplitude


def test_a_stretched_row_has_the_angles_of_the_short_one() -> None:
    stretched = RoPELinear(factor=4.0, **sizes()).angles(torch.arange(0, 40, 4))
    short = RoPE(**sizes()).angles(torch.arange(10))
    torch.testing.assert_close(stretched, short, rtol=0, atol=1e-12)


def test_refuses() -> None:
    with pytest.raises(
        ValueError, match=r"^factor=0.5 must be a number of at least 1.0, for example 1.0$"
    ):
        RoPELinear(factor=0.5, **sizes())

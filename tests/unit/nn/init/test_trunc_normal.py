"""init=trunc_normal."""

import math

import pytest
from torch import Tensor

from lightning_transformer.nn.init.trunc_normal import TruncNormal
from tests.unit.nn.init.drawing import draw


def assert_cut(weight: Tensor, std: float, cut: float) -> None:
    """Nothing beyond, something near, and the deviation of a normal distribution without tails.

    Var / std^2 = 1 - 2 c phi(c) / (2 Phi(c) - 1); 120 000 numbers.
    """
    assert float(weight.abs().max()) <= cut * std
    assert float(weight.abs().max()) > 0.99 * cut * std
    density = math.exp(-cut * cut / 2) / math.sqrt(2 * math.pi)
    wanted = std * math.sqrt(1 - 2 * cut * density / math.erf(cut / math.sqrt(2)))
    assert abs(float(weight.std()) / wanted - 1) < 0.01
    assert abs(float(weight.mean())) < 4 * std / 346


@pytest.mark.parametrize("role", ["linear", "residual_out", "head"])
@pytest.mark.parametrize("cut", [1.0, 2.0, 3.0])
def test_the_tails_are_cut(role: str, cut: float) -> None:
    assert_cut(draw(TruncNormal(std=0.05, cut=cut), role), 0.05, cut)


def test_embeddings_have_their_own() -> None:
    assert_cut(draw(TruncNormal(embedding_std=0.7), "embedding"), 0.7, 2.0)


@pytest.mark.parametrize("name", ["std", "cut", "embedding_std"])
def test_refuses(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}=0.0 must be a positive number"):
        TruncNormal(**{name: 0.0})


def test_refuses_to_cut_nothing() -> None:
    with pytest.raises(ValueError, match=r"^cut=11.0 cuts nothing; use init=normal"):
        TruncNormal(cut=11.0)

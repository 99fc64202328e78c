"""norm=dyt."""

import math

import pytest
import torch

from lightning_transformer.nn.norm.dyt import DyT


def test_formula_by_hand() -> None:
    norm = DyT(3, alpha=0.5).double()
    torch.nn.init.constant_(norm.weight, 2.0)
    torch.nn.init.constant_(norm.bias, -1.0)
    y = norm(torch.tensor([0.0, 1.0, -4.0], dtype=torch.float64))
    wanted = [-1.0, 2 * math.tanh(0.5) - 1, 2 * math.tanh(-2.0) - 1]
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_alpha_is_learned_and_one_number() -> None:
    norm = DyT(3, alpha=0.7)
    assert norm.alpha.shape == (1,)
    assert norm.alpha.item() == pytest.approx(0.7)
    norm(torch.ones(3)).sum().backward()
    assert norm.alpha.grad.item() == pytest.approx(3 * (1 - math.tanh(0.7) ** 2), rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, -0.5, float("nan")])
def test_refuses_alpha(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"^alpha=.* must be a positive number, for example 0.5$"):
        DyT(3, alpha=alpha)

"""norm=derf."""

import math

import pytest
import torch

from lightning_transformer.nn.norm.derf import Derf


def test_formula_by_hand() -> None:
    norm = Derf(3, alpha=0.5, shift=0.25).double()
    torch.nn.init.constant_(norm.weight, 2.0)
    torch.nn.init.constant_(norm.bias, -1.0)
    y = norm(torch.tensor([0.0, 1.0, -4.0], dtype=torch.float64))
    wanted = [2 * math.erf(x) - 1 for x in (0.25, 0.75, -1.75)]
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_slope_and_shift_are_learned_and_one_number_each() -> None:
    norm = Derf(3, alpha=0.7, shift=0.1).double()
    assert norm.alpha.shape == norm.shift.shape == (1,)
    norm(torch.full((3,), 2.0).double()).sum().backward()
    slope = 3 * 2 / math.sqrt(math.pi) * math.exp(-(1.5**2))  # three elements, erf' at 1.5
    assert norm.shift.grad.item() == pytest.approx(slope, rel=1e-6)
    assert norm.alpha.grad.item() == pytest.approx(2 * slope, rel=1e-6)


def test_starts_without_shift() -> None:
    norm = Derf(2)
    assert (norm.alpha.item(), norm.shift.item()) == (0.5, 0.0)
    assert torch.equal(norm(torch.zeros(2)), torch.zeros(2))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"alpha": 0.0}, r"^alpha=0.0 must be a positive number, for example 0.5$"),
        ({"shift": float("nan")}, r"^shift=nan must be a finite number, for example 0.0$"),
    ],
)
def test_refuses(options: dict[str, float], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        Derf(3, **options)

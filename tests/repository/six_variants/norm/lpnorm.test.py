"""norm=lpnorm."""

import pytest
import torch

from lightning_transformer.nn.norm.lpnorm import LpNorm
from tests.conftest import noise


def test_formula_by_hand() -> None:
    # (1 + 27 + 8 + 0) / 4 = 9 is the mean of the third powers.
    x = torch.tensor([1.0, -3.0, 2.0, 0.0], dtype=torch.float64)
    y = LpNorm(4, p=3.0, eps=1e-12).double()(x)
    torch.testing.assert_close(y, x / 9 ** (1 / 3), rtol=0, atol=1e-9)


def test_exponent_two_is_rms_norm() -> None:
    x = noise(5, 16)
    wanted = torch.nn.functional.rms_norm(x, (16,), eps=0.0)
    torch.testing.assert_close(LpNorm(16, p=2.0, eps=1e-12).double()(x), wanted)


def test_refuses_an_exponent_below_one() -> None:
    with pytest.raises(ValueError, match=r"^p=0.5 must be a number of at least 1, for example 3$"):
        LpNorm(4, p=0.5)

"""activation=elu."""

import math

import pytest
import torch

from lightning_transformer.nn.activation.elu import ELU
from tests.conftest import noise


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_formula_element_by_element(alpha: float) -> None:
    xs = [-3.0, -0.5, 0.0, 0.5, 2.0, *noise(20).tolist()]
    wanted = [x if x > 0 else alpha * math.expm1(x) for x in xs]
    y = ELU(alpha=alpha)(torch.tensor(xs, dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_takes_one_input() -> None:
    assert ELU.n_inputs == 1


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf")])
def test_refuses_alpha(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"^alpha=.* must be a positive number, for example 1.0$"):
        ELU(alpha=alpha)

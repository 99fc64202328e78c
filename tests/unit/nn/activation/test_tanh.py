"""activation=tanh."""

import math

import torch

from lightning_transformer.nn.activation.tanh import Tanh
from tests.conftest import noise


def test_formula_element_by_element() -> None:
    xs = [-3.0, -0.5, 0.0, 0.5, 2.0, *noise(20).tolist()]
    wanted = [math.tanh(x) for x in xs]
    y = Tanh()(torch.tensor(xs, dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_takes_one_input() -> None:
    assert Tanh.n_inputs == 1

"""activation=gelu_tanh."""

import math

import torch

from lightning_transformer.nn.activation.gelu_tanh import GELUTanh
from tests.conftest import noise


def test_formula_element_by_element() -> None:
    xs = [-3.0, -0.5, 0.0, 0.5, 2.0, *noise(20).tolist()]
    wanted = [x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) for x in xs]
    y = GELUTanh()(torch.tensor(xs, dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_takes_one_input() -> None:
    assert GELUTanh.n_inputs == 1

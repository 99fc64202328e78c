"""activation=relu."""

import torch

from lightning_transformer.nn.activation.relu import ReLU
from tests.conftest import noise


def test_formula_element_by_element() -> None:
    xs = [-3.0, -0.5, 0.0, 0.5, 2.0, *noise(20).tolist()]
    wanted = [max(x, 0.0) for x in xs]
    y = ReLU()(torch.tensor(xs, dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_takes_one_input() -> None:
    assert ReLU.n_inputs == 1

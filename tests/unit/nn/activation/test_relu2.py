"""activation=relu2."""

import torch

from lightning_transformer.nn.activation.relu2 import ReLU2
from tests.conftest import noise


def test_formula_element_by_element() -> None:
    xs = [-3.0, -0.5, 0.0, 0.5, 2.0, *noise(20).tolist()]
    wanted = [max(x, 0.0) ** 2 for x in xs]
    y = ReLU2()(torch.tensor(xs, dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_takes_one_input() -> None:
    assert ReLU2.n_inputs == 1

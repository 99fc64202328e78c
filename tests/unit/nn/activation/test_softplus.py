"""activation=softplus."""

import math

import torch

from lightning_transformer.nn.activation.softplus import Softplus
from tests.conftest import noise


def test_formula_element_by_element() -> None:
    xs = [-3.0, -0.5, 0.0, 0.5, 2.0, *noise(20).tolist()]
    wanted = [math.log1p(math.exp(x)) for x in xs]
    y = Softplus()(torch.tensor(xs, dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_takes_one_input() -> None:
    assert Softplus.n_inputs == 1

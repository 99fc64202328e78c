"""activation=selu."""

import math

import torch

from lightning_transformer.nn.activation.selu import SELU
from tests.conftest import noise

SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772  # of the paper


def test_formula_element_by_element() -> None:
    xs = [-3.0, -0.5, 0.0, 0.5, 2.0, *noise(20).tolist()]
    wanted = [SCALE * (x if x > 0 else ALPHA * math.expm1(x)) for x in xs]
    y = SELU()(torch.tensor(xs, dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_takes_one_input() -> None:
    assert SELU.n_inputs == 1

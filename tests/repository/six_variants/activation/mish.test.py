"""activation=mish."""

import math

import torch

from lightning_transformer.nn.activation.mish import Mish


def test_formula_element_by_element() -> None:
    xs = [-3.0, -0.5, 0.0, 0.5, 2.0]
    wanted = [x * math.tanh(math.log1p(math.exp(x))) for x in xs]
    y = Mish()(torch.tensor(xs, dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)

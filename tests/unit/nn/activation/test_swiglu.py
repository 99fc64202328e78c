"""activation=swiglu."""

import math

import torch

from lightning_transformer.nn.activation.swiglu import SwiGLU
from tests.conftest import noise


def test_formula_element_by_element() -> None:
    gate, up = noise(20, seed=1), noise(20, seed=2)
    wanted = [(g / (1 + math.exp(-g))) * u for g, u in zip(gate.tolist(), up.tolist(), strict=True)]
    y = SwiGLU()(gate, up)
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_takes_a_gate_and_a_value() -> None:
    assert SwiGLU.n_inputs == 2

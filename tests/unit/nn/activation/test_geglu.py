"""activation=geglu."""

import math

import torch

from lightning_transformer.nn.activation.geglu import GEGLU
from tests.conftest import noise


def test_formula_element_by_element() -> None:
    gate, up = noise(20, seed=1), noise(20, seed=2)
    wanted = [
        (g * 0.5 * (1 + math.erf(g / math.sqrt(2)))) * u
        for g, u in zip(gate.tolist(), up.tolist(), strict=True)
    ]
    y = GEGLU()(gate, up)
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_takes_a_gate_and_a_value() -> None:
    assert GEGLU.n_inputs == 2

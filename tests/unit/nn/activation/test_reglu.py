"""activation=reglu."""

import torch

from lightning_transformer.nn.activation.reglu import ReGLU
from tests.conftest import noise


def test_formula_element_by_element() -> None:
    gate, up = noise(20, seed=1), noise(20, seed=2)
    wanted = [(max(g, 0.0)) * u for g, u in zip(gate.tolist(), up.tolist(), strict=True)]
    y = ReGLU()(gate, up)
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_takes_a_gate_and_a_value() -> None:
    assert ReGLU.n_inputs == 2

"""activation=geglu_tanh."""

import math

import torch

from lightning_transformer.nn.activation.geglu_tanh import GEGLUTanh
from tests.conftest import noise


def test_formula() -> None:
    gate, up = noise(3, 5), noise(3, 5, seed=1)
    inner = math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)
    wanted = gate / 2 * (1 + inner.tanh()) * up
    torch.testing.assert_close(GEGLUTanh()(gate, up), wanted, rtol=0, atol=1e-12)

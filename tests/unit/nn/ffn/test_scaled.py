"""ffn=scaled."""

import pytest
import torch

from lightning_transformer.nn.activation.relu import ReLU
from lightning_transformer.nn.activation.swiglu import SwiGLU
from lightning_transformer.nn.ffn.dense import Dense
from lightning_transformer.nn.ffn.scaled import ScaledDense
from tests.conftest import noise


def test_plain_formula() -> None:
    x, ffn = noise(2, 3, 8), ScaledDense(8, activation=ReLU, bias=True).double()
    (up,), (scale,) = ffn.up, ffn.scales
    scale.data.copy_(noise(32, seed=1))
    hidden = (scale * (x @ up.weight.T + up.bias)).clamp(min=0)
    wanted = hidden @ ffn.down.weight.T + ffn.down.bias
    torch.testing.assert_close(ffn(x), wanted, rtol=0, atol=1e-12)


def test_gated_formula() -> None:
    x, ffn = noise(2, 3, 8), ScaledDense(8, activation=SwiGLU).double()
    for seed, scale in enumerate(ffn.scales):
        scale.data.copy_(noise(*scale.shape, seed=seed))
    gate, up = (s * (x @ layer.weight.T) for s, layer in zip(ffn.scales, ffn.up, strict=True))
    wanted = (gate * gate.sigmoid() * up) @ ffn.down.weight.T
    torch.testing.assert_close(ffn(x), wanted, rtol=0, atol=1e-12)


def test_at_one_it_is_dense() -> None:
    ffn, plain, x = ScaledDense(8, activation=SwiGLU), Dense(8, activation=SwiGLU), noise(3, 8)
    plain.load_state_dict(ffn.state_dict(), strict=False)
    assert torch.equal(ffn.double()(x), plain.double()(x))
    half = ScaledDense(8, activation=SwiGLU, start=0.5)
    assert all(bool((scale == 0.5).all()) for scale in half.scales)


def test_refuses_a_start_at_zero() -> None:
    with pytest.raises(ValueError, match=r"^start=0.0 must be a positive number"):
        ScaledDense(8, activation=ReLU, start=0.0)

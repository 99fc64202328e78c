"""ffn=dense."""

import pytest
import torch

from lightning_transformer.nn.activation.gelu import GELU
from lightning_transformer.nn.activation.relu import ReLU
from lightning_transformer.nn.activation.swiglu import SwiGLU
from lightning_transformer.nn.ffn.dense import Dense
from tests.conftest import noise


def test_plain_formula() -> None:
    x = noise(2, 3, 8)
    ffn = Dense(8, activation=ReLU, bias=True).double()
    up, down = ffn.up[0], ffn.down
    wanted = (x @ up.weight.T + up.bias).clamp(min=0) @ down.weight.T + down.bias
    torch.testing.assert_close(ffn(x), wanted, rtol=0, atol=1e-12)


def test_gated_formula() -> None:
    x = noise(2, 3, 8)
    ffn = Dense(8, activation=SwiGLU).double()
    gate, up = (x @ layer.weight.T for layer in ffn.up)
    wanted = (gate * gate.sigmoid() * up) @ ffn.down.weight.T
    torch.testing.assert_close(ffn(x), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("hidden_mult", [1.0, 2.5, 4.0])
@pytest.mark.parametrize("dim", [48, 96, 768])
def test_a_gate_costs_no_weights(dim: int, hidden_mult: float) -> None:
    def n_weights(activation: type) -> int:
        ffn = Dense(dim, activation=activation, hidden_mult=hidden_mult)
        return sum(p.numel() for p in ffn.parameters())

    # Rounding the width to a multiple of 8 moves each by at most 4 columns of each matrix.
    assert abs(n_weights(SwiGLU) - n_weights(GELU)) <= (3 + 2) * 4 * dim


def test_width() -> None:
    assert Dense(96, activation=GELU).down.in_features == 384
    assert Dense(96, activation=SwiGLU).down.in_features == 256
    assert Dense(128, activation=SwiGLU).down.in_features == 344  # 341.3 to a multiple of 8
    assert Dense(128, activation=SwiGLU, round_to=1).down.in_features == 341
    assert Dense(10, activation=GELU, hidden_mult=0.01).down.in_features == 8  # never zero


def test_bias() -> None:
    assert not any("bias" in n for n, _ in Dense(8, activation=SwiGLU).named_parameters())
    assert len(list(Dense(8, activation=SwiGLU, bias=True).parameters())) == 6


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"hidden_mult": 0.0}, "hidden_mult=0.0 must be a positive number"),
        ({"hidden_mult": float("nan")}, "hidden_mult=nan must be a positive number"),
        ({"round_to": 0}, "round_to=0 must be at least 1"),
    ],
)
def test_refuses(options: dict[str, float], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        Dense(8, activation=GELU, **options)

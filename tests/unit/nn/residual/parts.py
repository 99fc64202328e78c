"""A layer for residuals to stand around, and what they share, checked for each in one line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn.layer_info import LayerInfo, configure_layer
from lightning_transformer.nn.norm.layernorm import LayerNorm
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.residual.base import Residual
from tests.conftest import noise

DIM = 8
SECOND = LayerInfo(layer=1, n_layers=2, sublayer="attention")


def f(x: Tensor) -> Tensor:
    return (x * 3).sin() + 0.5


def ln(x: Tensor) -> Tensor:
    return F.layer_norm(x, (x.shape[-1],))


def made(kind: Callable[..., Residual], info: LayerInfo = SECOND, **options: float) -> Residual:
    """With LayerNorm, in float64, in its place."""
    there = configure_layer(kind(DIM, norm=LayerNorm, **options), info).double()
    assert isinstance(there, Residual)
    return there


def unnormed(kind: Callable[..., Residual], info: LayerInfo = SECOND) -> Residual:
    there = configure_layer(kind(DIM, norm=NoNorm), info).double()
    assert isinstance(there, Residual)
    return there


def assert_near(y: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-12)


def assert_dropout(kind: Callable[..., Residual]) -> None:
    """It acts on what is added, in training only; one that drops everything is refused."""
    torch.manual_seed(0)
    layer, plain = made(kind, dropout=0.5), made(kind)
    x = layer.split_stream(noise(4, 50, DIM))
    nothing = layer(x, torch.zeros_like)
    assert torch.equal(nothing, layer(x, torch.zeros_like)), "dropout acts on the stream"
    with torch.no_grad():
        for parameter in (*layer.parameters(), *plain.parameters()):
            parameter += 0.1  # nothing is left at a value at which it is not heard
    layer.eval()
    assert torch.equal(layer(x, f), plain(x, f))
    layer.train()
    assert not torch.equal(layer(x, f), layer(x, f))
    with pytest.raises(ValueError, match=r"^dropout=1.0 must be at least 0 and below 1"):
        kind(DIM, norm=LayerNorm, dropout=1.0)


def parameters(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in module.named_parameters()}

"""residual=layerscale."""

import pytest
import torch

from lightning_transformer.nn.norm.layernorm import LayerNorm
from lightning_transformer.nn.residual.layerscale import LayerScale
from tests.conftest import noise, tiny
from tests.unit.nn.residual.parts import assert_dropout, assert_near, f, ln, made, unnormed


def test_formula() -> None:
    layer, x, scale = made(LayerScale), noise(2, 3, 8), noise(8, seed=1)
    layer.scale.data.copy_(scale)
    assert_near(layer(x, f), x + scale * f(ln(x)))


def test_where_it_starts() -> None:
    x = noise(2, 3, 8)
    assert torch.equal(made(LayerScale, start=0.25)(x, f), x + 0.25 * f(ln(x)))
    layer = LayerScale(8, norm=LayerNorm)
    assert torch.equal(layer.scale, torch.full((8,), 0.1))


def test_a_model_without_norms() -> None:
    layer, x = unnormed(LayerScale), noise(2, 3, 8)
    layer.scale.data.fill_(0.5)
    assert_near(layer(x, f), x + 0.5 * f(x))
    assert tiny("residual=layerscale", "norm=none").decoder(noise(1, 2, 32)).isfinite().all()


def test_whether_a_final_norm_is_due() -> None:
    assert LayerScale.needs_final_norm is True


def test_dropout() -> None:
    assert_dropout(LayerScale)


def test_refuses_a_start_at_zero() -> None:
    with pytest.raises(ValueError, match=r"^start=0.0 must be a positive number"):
        LayerScale(8, norm=LayerNorm, start=0.0)

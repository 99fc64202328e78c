"""residual=normformer."""

from __future__ import annotations

import pytest
import torch

from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.residual.normformer import NormFormer
from tests.conftest import noise, tiny
from tests.unit.nn.residual.parts import assert_dropout, assert_near, f, ln, made, parameters

NORMS = ("norm.weight", "norm.bias")


@pytest.mark.parametrize("sublayer", ["attention", "cross"])
def test_attention_is_normed_once_more(sublayer: str) -> None:
    layer, x = made(NormFormer, LayerInfo(sublayer=sublayer)), noise(2, 3, 8)
    assert_near(layer(x, f), x + ln(f(ln(x))))
    assert set(parameters(layer)) == {*NORMS, "norm_out.weight", "norm_out.bias"}


@pytest.mark.parametrize("sublayer", ["ffn", "first_ffn"])
def test_the_stream_beside_the_ffn_is_scaled(sublayer: str) -> None:
    layer, x = made(NormFormer, LayerInfo(sublayer=sublayer)), noise(2, 3, 8)
    assert_near(layer(x, f), x + f(ln(x)))
    layer.scale.data.copy_(noise(8, seed=1))
    assert_near(layer(x, f), noise(8, seed=1) * x + f(ln(x)))
    assert set(parameters(layer)) == {*NORMS, "scale"}


def test_a_sum_has_both() -> None:
    layer, x = made(NormFormer, LayerInfo()), noise(2, 3, 8)
    layer.scale.data.copy_(noise(8, seed=1))
    assert_near(layer(x, f), noise(8, seed=1) * x + ln(f(ln(x))))


@pytest.mark.parametrize(
    ("block", "scaled"),
    [
        ("sequential", [False, False, True]),
        ("parallel", [True]),
        ("macaron", [True, False, False, True]),
    ],
)
def test_blocks_tell_what_it_stands_around(block: str, scaled: list[bool]) -> None:
    model = tiny("model=encoder_decoder", "residual=normformer", f"block={block}")
    found = [isinstance(r.scale, torch.Tensor) for r in model.decoder.blocks[0].residuals]
    assert found == scaled


def test_whether_a_final_norm_is_due() -> None:
    assert NormFormer.needs_final_norm is True


def test_dropout() -> None:
    assert_dropout(NormFormer)

"""block=canon."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.block.canon import Canon
from lightning_transformer.nn.block.sequential import Sequential
from lightning_transformer.nn.recurrent.base import RowOrder
from tests.conftest import noise, tiny
from tests.unit.nn.block.parts import parts

CAUSAL, ALL = AttentionContext(is_causal=True), AttentionContext()


def drawn(size: int = 4, **others: Any) -> Canon:
    block = Canon(16, conv_size=size, **parts(), **others).double().eval()
    with torch.no_grad():
        for seed, layer in enumerate((block.before_attention, block.before_ffn)):
            for parameter in layer.parameters():
                parameter.copy_(noise(*parameter.shape, seed=seed))
    return block


def mixed(layer: Any, h: Tensor, starts: tuple[int, ...] = (0,)) -> Tensor:
    """Token by token: h_t + sum_j w_j h_{t-j}, not across the places where a document starts."""
    y = torch.empty_like(h)
    weight, bias = layer.conv.weight, layer.conv.bias
    for t in range(h.shape[1]):
        begin = max(s for s in starts if s <= t)
        y[:, t] = h[:, t] + (0 if bias is None else bias)
        for j in range(min(layer.conv.size, t - begin + 1)):
            y[:, t] += weight[:, -1 - j] * h[:, t - j]
    return y


@pytest.mark.parametrize("size", [1, 4, 9])
@pytest.mark.parametrize("bias", [False, True])
def test_before_attention_and_before_the_feed_forward_layer(size: int, bias: bool) -> None:
    block, x = drawn(size, bias=bias), noise(2, 6, 16)
    with torch.no_grad():
        a = mixed(block.before_attention, block.attention_residual.norm(x))
        h = x + block.attention(a, CAUSAL)
        wanted = h + block.ffn(mixed(block.before_ffn, block.ffn_residual.norm(h)))
        torch.testing.assert_close(block(x, CAUSAL), wanted, rtol=0, atol=1e-12)
    assert len(block.residuals) == 2


def test_convolutions_of_zero_leave_a_sequential_block() -> None:
    block, plain, x = drawn(), Sequential(16, **parts()).double().eval(), noise(2, 5, 16)
    plain.load_state_dict(block.state_dict(), strict=False)
    with torch.no_grad():
        block.before_attention.conv.weight.zero_()
        block.before_ffn.conv.weight.zero_()
    torch.testing.assert_close(block(x, CAUSAL), plain(x, CAUSAL), rtol=0, atol=1e-12)


def test_cross_attention_reads_the_stream_as_it_is() -> None:
    block, x, memory = drawn(cross=True), noise(2, 5, 16), noise(2, 3, 16, seed=1)
    with torch.no_grad():
        a = mixed(block.before_attention, block.attention_residual.norm(x))
        h = x + block.attention(a, CAUSAL)
        h = h + block.cross(block.cross_residual.norm(h), ALL, memory)
        wanted = h + block.ffn(mixed(block.before_ffn, block.ffn_residual.norm(h)))
        torch.testing.assert_close(block(x, CAUSAL, memory, ALL), wanted, rtol=0, atol=1e-12)
    assert len(block.residuals) == 3


def test_documents_do_not_mix() -> None:
    layer, h = drawn().before_ffn, noise(1, 7, 16)
    documents = torch.tensor([[4, 4, 5, 5, 5, 5, 6]])
    row = RowOrder.of(AttentionContext(documents=documents))
    with torch.no_grad():
        wanted = mixed(layer, h, starts=(0, 2, 6))
        torch.testing.assert_close(layer(h, row, None), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("model", ["encoder_only", "encoder_decoder"])
def test_an_encoder_is_refused(model: str) -> None:
    with pytest.raises(ValueError, match=r"^block=canon .*use block=sequential or model=deco"):
        tiny(f"model={model}", "block=canon")


def test_mup_leaves_the_rate_of_convolutions_alone() -> None:
    """A channel has one input at any width."""
    model: Any = tiny("block=canon", "init=mup", "init.base_width=32", "model.d_model=64")
    slow = model.init.lr_scales(model)
    names = {name for name, p in model.named_parameters() if id(p) in slow}
    assert names
    assert not any("conv" in name for name in names)

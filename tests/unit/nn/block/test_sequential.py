"""block=sequential."""

import torch

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.block.sequential import Sequential
from tests.conftest import noise
from tests.unit.nn.block.parts import parts

CAUSAL, ALL = AttentionContext(is_causal=True), AttentionContext()


def test_attention_then_feed_forward() -> None:
    block, x = Sequential(16, **parts()).double().eval(), noise(2, 5, 16)
    h = x + block.attention(block.attention_residual.norm(x), CAUSAL)
    wanted = h + block.ffn(block.ffn_residual.norm(h))
    torch.testing.assert_close(block(x, CAUSAL), wanted, rtol=0, atol=1e-12)
    assert len(block.residuals) == 2


def test_cross_attention_stands_between() -> None:
    block = Sequential(16, cross=True, **parts()).double().eval()
    x, memory = noise(2, 5, 16), noise(2, 3, 16, seed=1)
    h = x + block.attention(block.attention_residual.norm(x), CAUSAL)
    h = h + block.cross(block.cross_residual.norm(h), ALL, memory)
    wanted = h + block.ffn(block.ffn_residual.norm(h))
    torch.testing.assert_close(block(x, CAUSAL, memory, ALL), wanted, rtol=0, atol=1e-12)
    assert len(block.residuals) == 3

"""block=attention_only."""

import torch

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.block.attention_only import AttentionOnly
from tests.conftest import noise
from tests.unit.nn.block.parts import parts

CAUSAL, ALL = AttentionContext(is_causal=True), AttentionContext()
PARTS = {name: part for name, part in parts().items() if name != "ffn"}


def test_attention_alone() -> None:
    block, x = AttentionOnly(16, **PARTS).double().eval(), noise(2, 5, 16)
    wanted = x + block.attention(block.attention_residual.norm(x), CAUSAL)
    torch.testing.assert_close(block(x, CAUSAL), wanted, rtol=0, atol=1e-12)
    assert len(block.residuals) == 1


def test_cross_attention_follows() -> None:
    block = AttentionOnly(16, cross=True, **PARTS).double().eval()
    x, memory = noise(2, 5, 16), noise(2, 3, 16, seed=1)
    h = x + block.attention(block.attention_residual.norm(x), CAUSAL)
    wanted = h + block.cross(block.cross_residual.norm(h), ALL, memory)
    torch.testing.assert_close(block(x, CAUSAL, memory, ALL), wanted, rtol=0, atol=1e-12)
    assert len(block.residuals) == 2

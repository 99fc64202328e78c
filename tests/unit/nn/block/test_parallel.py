"""block=parallel."""

import torch

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.block.parallel import ParallelBlock
from tests.conftest import noise
from tests.unit.nn.block.parts import parts

CAUSAL, ALL = AttentionContext(is_causal=True), AttentionContext()


def test_both_read_the_same_normed_input() -> None:
    block, x = ParallelBlock(16, **parts()).double().eval(), noise(2, 5, 16)
    h = block.residual.norm(x)
    wanted = x + block.attention(h, CAUSAL) + block.ffn(h)
    torch.testing.assert_close(block(x, CAUSAL), wanted, rtol=0, atol=1e-12)
    assert len(block.residuals) == 1


def test_cross_attention_joins_the_sum() -> None:
    block = ParallelBlock(16, cross=True, **parts()).double().eval()
    x, memory = noise(2, 5, 16), noise(2, 3, 16, seed=1)
    h = block.residual.norm(x)
    wanted = x + block.attention(h, CAUSAL) + block.ffn(h) + block.cross(h, ALL, memory)
    torch.testing.assert_close(block(x, CAUSAL, memory, ALL), wanted, rtol=0, atol=1e-12)

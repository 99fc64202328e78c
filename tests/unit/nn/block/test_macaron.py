"""block=macaron."""

from functools import partial

import pytest
import torch

from lightning_transformer.nn.activation.gelu import GELU
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.block.macaron import Macaron
from lightning_transformer.nn.block.sequential import Sequential
from lightning_transformer.nn.ffn.dense import Dense
from lightning_transformer.nn.residual.post_norm import PostNorm
from tests.conftest import noise
from tests.unit.nn.block.parts import parts

CAUSAL, ALL = AttentionContext(is_causal=True), AttentionContext()


def test_attention_between_two_halves() -> None:
    block, x = Macaron(16, **parts()).double().eval(), noise(2, 5, 16)
    h = x + block.first_ffn(block.first_ffn_residual.norm(x)) / 2
    h = h + block.attention(block.attention_residual.norm(h), CAUSAL)
    wanted = h + block.ffn(block.ffn_residual.norm(h)) / 2
    torch.testing.assert_close(block(x, CAUSAL), wanted, rtol=0, atol=1e-12)
    assert len(block.residuals) == 3


def test_as_first_published_with_norms_after_each_step() -> None:
    block, x = Macaron(16, **parts(residual=PostNorm)).double().eval(), noise(2, 5, 16)
    h = block.first_ffn_residual.norm(x + block.first_ffn(x) / 2)
    h = block.attention_residual.norm(h + block.attention(h, CAUSAL))
    wanted = block.ffn_residual.norm(h + block.ffn(h) / 2)
    torch.testing.assert_close(block(x, CAUSAL), wanted, rtol=0, atol=1e-12)


def test_cross_attention_after_attention() -> None:
    block = Macaron(16, cross=True, **parts()).double().eval()
    x, memory = noise(2, 5, 16), noise(2, 3, 16, seed=1)
    h = x + block.first_ffn(block.first_ffn_residual.norm(x)) / 2
    h = h + block.attention(block.attention_residual.norm(h), CAUSAL)
    h = h + block.cross(block.cross_residual.norm(h), ALL, memory)
    wanted = h + block.ffn(block.ffn_residual.norm(h)) / 2
    torch.testing.assert_close(block(x, CAUSAL, memory, ALL), wanted, rtol=0, atol=1e-12)
    assert block.residuals[2] is block.cross_residual


@pytest.mark.parametrize(("hidden_mult", "times"), [(2.0, 1), (4.0, 2)])
def test_weights_of_the_feed_forward_layers(hidden_mult: float, times: int) -> None:
    ffn = partial(Dense, activation=GELU, hidden_mult=hidden_mult)
    macaron, plain = Macaron(16, **parts(ffn=ffn)), Sequential(16, **parts())
    mine = sum(p.numel() for f in (macaron.first_ffn, macaron.ffn) for p in f.parameters())
    assert mine == times * sum(p.numel() for p in plain.ffn.parameters())

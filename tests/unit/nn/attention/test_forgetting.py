"""attention=forgetting."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.models.encoder_decoder import EncoderDecoder
from lightning_transformer.models.encoder_only import EncoderOnly
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.forgetting import Forgetting
from lightning_transformer.nn.attention.kernels.base import Kernel
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.testing.checks import check_attention
from tests.conftest import noise, tiny
from tests.helpers.assembly import assemble
from tests.unit.nn.attention.references import D, T, made, turning

H, G, K = 4, 2, 6
CAUSAL = AttentionContext(is_causal=True)
KERNELS: Any = pytest.mark.parametrize("kernel", [Eager(), SDPA()], ids=["eager", "sdpa"])


def split(x: Tensor, weight: Tensor) -> Tensor:
    return (x @ weight.T).unflatten(-1, (-1, K)).transpose(0, 1)


def by_hand(layer: Any, x: Tensor) -> Tensor:
    """One row (T, D), number by number: gates multiply what is left of a key, step by step."""
    q, k, v = (split(x, w.weight) for w in (layer.q, layer.k, layer.v))
    logits = x @ layer.forget.weight.T + layer.forget.bias
    heads = torch.zeros(T, H, K, dtype=torch.float64)
    for h in range(H):
        g = h // (H // G)
        for i in range(T):
            left, powers = 1.0, [0.0] * (i + 1)
            for j in range(i, -1, -1):
                powers[j] = left * math.exp(float(q[h, i] @ k[g, j]) / math.sqrt(K))
                left /= 1 + math.exp(-float(logits[j, h]))  # now of the key before j
            for j, power in enumerate(powers):
                heads[i, h] += power / sum(powers) * v[g, j]
    return heads.flatten(1) @ layer.out.weight.T


@KERNELS
@torch.no_grad()
def test_equals_the_gates_multiplied_step_by_step(kernel: Kernel) -> None:
    layer, x = made(Forgetting, kernel=kernel, n_kv_heads=G), noise(2, T, D)
    wanted = torch.stack([by_hand(layer, row) for row in x])
    torch.testing.assert_close(layer(x, CAUSAL), wanted, rtol=0, atol=1e-12)


@torch.no_grad()
def test_gates_of_a_half_are_alibi_with_a_slope_of_log_2() -> None:
    """As a gate without weights is at first, whose bias is 0."""
    layer = Forgetting(D, kernel=Eager(), qk_norm=NoNorm).double()
    layer.forget.weight.zero_()
    layer.forget.bias.zero_()
    plain = MultiHeadAttention(D, kernel=Eager(), qk_norm=NoNorm).double()
    plain.load_state_dict({n: w for n, w in layer.state_dict().items() if "forget" not in n})
    places = torch.arange(T, dtype=torch.float64)
    distance = places[:, None] - places
    bias = (-math.log(2) * distance).masked_fill(distance < 0, -torch.inf).expand(H, T, T)
    x, seen = noise(2, T, D), (distance >= 0)[None, None]
    wanted = plain(x, AttentionContext(seen, bias))
    torch.testing.assert_close(layer(x, CAUSAL), wanted, rtol=0, atol=1e-12)


def test_gates_start_with_a_bias_of_zero() -> None:
    model: Any = tiny("attention=forgetting")
    for block in model.decoder.blocks:
        assert block.attention.forget.weight.shape == (H, 32)
        assert block.attention.forget.weight.any()
        assert block.attention.forget.bias.tolist() == [0.0] * H


@torch.no_grad()
def test_pads_forget_nothing() -> None:
    """A pad between two tokens, which a gate that almost closes would part."""
    layer, x = made(Forgetting), noise(1, 4, D)
    layer.forget.bias.fill_(-20.0)
    pads = torch.tensor([[False, True, False, False]])
    seen = torch.ones(4, 4).tril().bool()[None, None] & ~pads[:, None, None]
    found = layer(x, AttentionContext(seen, padding=pads))[:, [0, 2, 3]]
    wanted = layer(x[:, [0, 2, 3]], CAUSAL)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def test_gates_are_added_up_in_float32_at_least() -> None:
    """In bfloat16 a sum of 300 halves stands still."""
    seen: list[AttentionContext] = []

    class Watching(Eager):
        def __call__(self, q: Tensor, k: Tensor, v: Tensor, context: Any, *more: Any) -> Tensor:
            seen.append(context)
            return super().__call__(q, k, v, context, *more)

    layer = Forgetting(D, kernel=Watching(), qk_norm=NoNorm).bfloat16()
    with torch.no_grad():
        layer.forget.weight.zero_()
        layer.forget.bias.zero_()
        y = layer(noise(1, 600, D).bfloat16(), CAUSAL)
    assert y.dtype == torch.bfloat16
    bias = seen[0].bias
    assert bias is not None
    assert bias.dtype == torch.float32
    assert float(bias[0, 0, 599, 0]) == pytest.approx(-599 * math.log(2), rel=1e-5)


def test_decoding_with_a_rotation_equals_the_whole_pass() -> None:
    """Three tokens at once, then two, then one by one; sums of gates go on in the cache."""
    layer, x = made(Forgetting, n_kv_heads=G), noise(2, T, D)
    full, cache = layer(x, turning(K)), layer.new_cache(T)
    steps = [layer(x[:, :3], turning(K, 0, 3), cache=cache)]
    below = torch.ones(2, 5).tril(3).bool()[None, None]
    steps.append(
        layer(x[:, 3:5], AttentionContext(below, rotate=turning(K, 3, 2).rotate), cache=cache)
    )
    steps += [layer(x[:, t : t + 1], turning(K, t, 1), cache=cache) for t in range(5, T)]
    torch.testing.assert_close(torch.cat(steps, dim=1), full, rtol=0, atol=1e-12)


def test_cross_attention_is_plain() -> None:
    layer = Forgetting(D, kernel=Eager(), qk_norm=NoNorm)
    layer.configure_layer(LayerInfo(cross=True, causal=False))
    plain = MultiHeadAttention(D, kernel=Eager(), qk_norm=NoNorm)
    plain.load_state_dict(layer.state_dict())
    x, memory, every = noise(2, T, D).float(), noise(2, 3, D).float(), AttentionContext()
    assert torch.equal(layer(x, every, memory=memory), plain(x, every, memory=memory))


@pytest.mark.parametrize("kind", [EncoderOnly, EncoderDecoder])
def test_an_encoder_is_refused(kind: Any) -> None:
    line = (
        "attention=forgetting counts back from a query, and in an encoder queries also see what "
        "comes after them; use attention=mha or model=decoder_only"
    )
    with pytest.raises(ValueError, match=f"^{line}$"):
        assemble(kind, attention="forgetting")


def test_a_prefix_is_refused() -> None:
    line = "attention=forgetting counts back from a query, and with pattern=prefix the first 3 tok"
    with pytest.raises(ValueError, match=f"^{line}.*; use pattern=full or attention=mha$"):
        assemble(attention="forgetting", pattern="prefix")


@KERNELS
def test_contract_with_other_options(kernel: Kernel) -> None:
    check_attention(
        partial(Forgetting, kernel=kernel, qk_norm=RMSNorm, n_kv_heads=2, head_dim=3, scale=0.7)
    )

"""attention=persistent_memory."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import Kernel
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.attention.persistent_memory import PersistentMemory
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.testing.checks import check_attention
from tests.conftest import noise, tiny
from tests.unit.nn.attention.references import D, T, made, turning

H, G, K, N = 4, 2, 6, 3
KERNELS: Any = pytest.mark.parametrize("kernel", [Eager(), SDPA()], ids=["eager", "sdpa"])


@KERNELS
@torch.no_grad()
def test_one_vector_is_the_added_key_and_value_of_torch(kernel: Kernel) -> None:
    """nn.MultiheadAttention(add_bias_kv=True), which puts it at the end of the row."""
    theirs: Any = nn.MultiheadAttention(D, H, bias=False, batch_first=True, add_bias_kv=True)
    theirs = theirs.double()
    ours = made(PersistentMemory, n_memory=1, kernel=kernel)
    theirs.in_proj_weight.copy_(torch.cat((ours.q.weight, ours.k.weight, ours.v.weight)))
    theirs.out_proj.weight.copy_(ours.out.weight)
    theirs.bias_k.copy_(ours.memory_k.weight[None])
    theirs.bias_v.copy_(ours.memory_v.weight[None])
    x, memory, hidden = noise(2, T, D), noise(2, T, D, seed=1), torch.ones(T, T).triu(1).bool()
    wanted, _ = theirs(x, x, x, attn_mask=hidden, need_weights=False)
    torch.testing.assert_close(
        ours(x, AttentionContext(is_causal=True)), wanted, rtol=0, atol=1e-12
    )
    found = ours(x, AttentionContext(~hidden[None, None]))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    wanted, _ = theirs(x, memory, memory, need_weights=False)
    found = ours(x, AttentionContext(), memory=memory)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def by_hand(layer: Any, x: Tensor, context: AttentionContext, slope: float) -> Tensor:
    """Each query over N learned keys, which are not turned and have no bias, and the past."""
    rotate = context.rotate
    heads = [(x @ w.weight.T).unflatten(-1, (-1, K)).transpose(0, 1) for w in (layer.q, layer.k)]
    q, k = rotate(heads[0][None])[0], rotate(heads[1][None])[0]
    v = (x @ layer.v.weight.T).unflatten(-1, (-1, K)).transpose(0, 1)
    out = torch.zeros(T, H, K, dtype=torch.float64)
    for h in range(H):
        g = h // (H // G)
        mine = slice(g * K, (g + 1) * K)
        for i in range(T):
            scores = [float(q[h, i] @ m[mine]) / math.sqrt(K) for m in layer.memory_k.weight]
            values = [m[mine] for m in layer.memory_v.weight]
            for j in range(i + 1):
                scores.append(float(q[h, i] @ k[g, j]) / math.sqrt(K) - slope * (i - j))
                values.append(v[g, j])
            powers = [math.exp(score) for score in scores]
            for power, value in zip(powers, values, strict=True):
                out[i, h] += power / sum(powers) * value
    return out.flatten(1) @ layer.out.weight.T


@KERNELS
@pytest.mark.parametrize("slope", [0.0, 0.3])
@torch.no_grad()
def test_equals_attention_number_by_number(kernel: Kernel, slope: float) -> None:
    layer, x = made(PersistentMemory, n_memory=N, n_kv_heads=G, kernel=kernel), noise(2, T, D)
    context = turning(K)
    if slope:
        distance = torch.arange(T)[:, None] - torch.arange(T)
        bias = (-slope * distance.double()).masked_fill(distance < 0, -torch.inf).expand(H, T, T)
        context = AttentionContext((distance >= 0)[None, None], bias, context.rotate)
    wanted = torch.stack([by_hand(layer, row, context, slope) for row in x])
    torch.testing.assert_close(layer(x, context), wanted, rtol=0, atol=1e-12)


def test_the_triangle_is_left_to_the_kernel() -> None:
    """Queries are added in front, whose output is dropped, so that fast kernels need no mask."""
    seen: list[Any] = []

    class Watching(Eager):
        def __call__(self, q: Tensor, k: Tensor, v: Tensor, context: Any, *more: Any) -> Tensor:
            seen.append((q.shape[2], k.shape[2], v.shape[2], context.is_causal, context.mask))
            return super().__call__(q, k, v, context, *more)

    layer = made(PersistentMemory, n_memory=N, kernel=Watching())
    assert layer(noise(2, T, D), AttentionContext(is_causal=True)).shape == (2, T, D)
    assert seen == [(T + N, T + N, T + N, True, None)]


def test_every_layer_has_vectors_of_its_own() -> None:
    model: Any = tiny("attention=persistent_memory", "attention.n_memory=5")
    tables = {n: p for n, p in model.named_parameters() if ".memory_" in n}
    assert {n: tuple(p.shape) for n, p in tables.items()} == {
        f"decoder.blocks.{i}.attention.memory_{kind}.weight": (5, 32)
        for i in (0, 1)
        for kind in "kv"
    }
    assert len({p[0, 0].item() for p in tables.values()}) == 4


def test_flops_count_the_learned_keys() -> None:
    assert made(PersistentMemory, n_memory=N).flops(10.0) == 4 * H * K * (10.0 + N)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^n_memory=0 must be at least 1, for example 1$"):
        PersistentMemory(D, kernel=Eager(), qk_norm=NoNorm, n_memory=0)


@KERNELS
def test_contract_with_other_options(kernel: Kernel) -> None:
    check_attention(
        partial(PersistentMemory, kernel=kernel, qk_norm=RMSNorm, n_kv_heads=2, n_memory=2)
    )

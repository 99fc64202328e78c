"""attention=mha, gqa and mqa."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.cache import KVCache
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from tests.conftest import noise
from tests.unit.nn.attention.references import (
    copy_projections,
    cos_sin,
    hugging_face,
    made,
    turning,
)

D, H, K = 24, 4, 6
CAUSAL = AttentionContext(is_causal=True)


def make(**options: Any) -> MultiHeadAttention:
    torch.manual_seed(0)
    chosen = {"kernel": Eager(), "qk_norm": NoNorm, "n_heads": H, "n_kv_heads": H} | options
    return MultiHeadAttention(D, **chosen).double().eval()


def torch_twin(ours: MultiHeadAttention) -> Any:
    """torch's own module with our weights."""
    theirs: Any = nn.MultiheadAttention(D, H, bias=True, batch_first=True).double().eval()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat((ours.q.weight, ours.k.weight, ours.v.weight)))
        theirs.in_proj_bias.copy_(torch.cat((ours.q.bias, ours.k.bias, ours.v.bias)))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    return theirs


def test_self_attention_equals_torch() -> None:
    ours, x = make(bias=True), noise(2, 5, D)
    hidden = torch.ones(5, 5).triu(1).bool()
    wanted, _ = torch_twin(ours)(x, x, x, attn_mask=hidden, need_weights=False)
    torch.testing.assert_close(ours(x, CAUSAL), wanted, rtol=0, atol=1e-10)


def test_cross_attention_equals_torch() -> None:
    ours, x, memory = make(bias=True), noise(2, 5, D), noise(2, 3, D, seed=1)
    padding = torch.tensor([[False, False, True], [False, False, False]])
    wanted, _ = torch_twin(ours)(x, memory, memory, key_padding_mask=padding, need_weights=False)
    context = AttentionContext(~padding[:, None, None, :])
    torch.testing.assert_close(ours(x, context, memory), wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kernel", [Eager(), SDPA()], ids=["eager", "sdpa"])
@pytest.mark.parametrize("n_kv_heads", [1, 2])
def test_sharing_heads_equals_attention_with_repeated_weights(kernel: Any, n_kv_heads: int) -> None:
    x = noise(2, 5, D)
    shared, full = make(kernel=kernel, n_kv_heads=n_kv_heads), make(kernel=kernel)
    repeats = H // n_kv_heads

    def repeated(weight: Tensor) -> Tensor:
        return weight.unflatten(0, (n_kv_heads, K)).repeat_interleave(repeats, 0).flatten(0, 1)

    with torch.no_grad():
        for name in ("q", "out"):
            getattr(full, name).weight.copy_(getattr(shared, name).weight)
        for name in ("k", "v"):
            getattr(full, name).weight.copy_(repeated(getattr(shared, name).weight))
    torch.testing.assert_close(shared(x, CAUSAL), full(x, CAUSAL), rtol=0, atol=1e-10)


def test_as_many_key_heads_as_heads_is_plain_attention() -> None:
    x = noise(2, 5, D)
    assert torch.equal(make(n_kv_heads=H)(x, CAUSAL), make()(x, CAUSAL))


def test_number_of_weights() -> None:
    def n(**options: Any) -> int:
        return sum(p.numel() for p in make(**options).parameters())

    assert n() == 4 * D * D
    assert n(n_kv_heads=2) == 2 * D * D + 2 * D * 2 * K
    assert n(n_kv_heads=1) == 2 * D * D + 2 * D * K
    assert n(head_dim=3) == 4 * D * H * 3
    assert n(bias=True) == 4 * D * D + 4 * D


def test_queries_and_keys_are_normed_and_then_rotated() -> None:
    ours, x = make(qk_norm=RMSNorm), noise(2, 5, D)
    with torch.no_grad():
        ours.q_norm.weight.copy_(1 + noise(K, seed=3) / 10)

    def heads(y: Tensor) -> Tensor:
        return y.unflatten(-1, (H, K)).transpose(1, 2)

    def normed(y: Tensor, gain: Tensor) -> Tensor:
        return y / (y.square().mean(-1, keepdim=True) + 1e-6).sqrt() * gain

    def stretch(y: Tensor) -> Tensor:
        """In place of a rotation, to tell what comes first."""
        return y * torch.arange(1, K + 1)

    q = stretch(normed(heads(x @ ours.q.weight.T), ours.q_norm.weight))
    k = stretch(normed(heads(x @ ours.k.weight.T), ours.k_norm.weight))
    y = Eager()(q, k, heads(x @ ours.v.weight.T), AttentionContext(), 0.0)
    wanted = y.transpose(1, 2).flatten(2) @ ours.out.weight.T
    turned = ours(x, AttentionContext(rotate=stretch))
    torch.testing.assert_close(turned, wanted, rtol=0, atol=1e-12)


def test_a_norm_over_all_heads_equals_olmo2_of_transformers() -> None:
    theirs = hugging_face("olmo2", "Olmo2", rms_norm_eps=1e-6)
    ours = made(MultiHeadAttention, n_kv_heads=2, qk_norm=RMSNorm, qk_norm_per_head=False)
    copy_projections(ours, theirs)
    with torch.no_grad():
        ours.q_norm.weight.copy_(theirs.q_norm.weight)
        ours.k_norm.weight.copy_(theirs.k_norm.weight)
    assert (ours.q_norm.weight.shape, ours.k_norm.weight.shape) == ((24,), (12,))
    x = noise(2, 7, D)
    wanted, _ = theirs(x, cos_sin(K), None)
    # Their norm is computed in float32.
    torch.testing.assert_close(ours(x, turning(K)), wanted, rtol=0, atol=1e-5)


def test_a_norm_over_all_heads_needs_a_norm() -> None:
    line = "qk_norm_per_head=false has nothing to act on with qk_norm=none; use qk_norm=rmsnorm"
    with pytest.raises(ValueError, match=line):
        make(qk_norm_per_head=False)


def test_queries_and_keys_are_rotated_and_values_are_not() -> None:
    ours, x = make(), noise(2, 5, D)
    turned = []

    def rotate(heads: Tensor) -> Tensor:
        turned.append(heads)
        return heads

    ours(x, AttentionContext(rotate=rotate))
    torch.testing.assert_close(turned[0].transpose(1, 2).flatten(2), ours.q(x))
    torch.testing.assert_close(turned[1].transpose(1, 2).flatten(2), ours.k(x))
    assert len(turned) == 2


@pytest.mark.parametrize("kernel", [Eager(), SDPA()], ids=["eager", "sdpa"])
def test_dropout_is_for_training_only(kernel: Any) -> None:
    ours, x = make(kernel=kernel, dropout=0.5), noise(2, 5, D)
    assert torch.equal(ours(x, CAUSAL), make(kernel=kernel)(x, CAUSAL))
    ours.train()
    assert not torch.equal(ours(x, CAUSAL), ours(x, CAUSAL))


def test_source_is_projected_once_while_decoding() -> None:
    ours, x, memory = make(), noise(2, 3, D), noise(2, 4, D, seed=1)
    cache = KVCache(4)
    first = ours(x[:, :1], AttentionContext(), memory, cache)
    # Later steps read the cache: what is handed over as memory does not matter any more.
    second = ours(x[:, 1:2], AttentionContext(), torch.zeros_like(memory), cache)
    wanted = ours(x, AttentionContext(), memory)
    torch.testing.assert_close(torch.cat((first, second), 1), wanted[:, :2], rtol=0, atol=1e-12)
    assert cache.length == 4


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {"n_heads": 5, "n_kv_heads": 5},
            r"model\.d_model=24 is not divisible by attention\.n_heads=5; nearest 20 or 25",
        ),
        ({"n_heads": 48, "n_kv_heads": 48}, "n_heads=48; nearest 48"),
        (
            {"n_kv_heads": 3},
            r"attention\.n_kv_heads=3 must divide attention\.n_heads=4: one of 1, 2, 4",
        ),
        ({"n_kv_heads": 8}, "must divide"),
        ({"n_heads": 0}, "n_heads=0 must be at least 1"),
        ({"n_kv_heads": 0}, "n_kv_heads=0 must be at least 1"),
        ({"head_dim": 0}, "head_dim=0 must be at least 1"),
        ({"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
    ],
)
def test_refuses(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line) as caught:
        make(**options)
    assert "\n" not in str(caught.value)

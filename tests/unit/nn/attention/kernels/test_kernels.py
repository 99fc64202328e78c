"""Every kernel equals attention worked row by row."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.build import build
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import Kernel, ScoreMods
from tests.conftest import compose_config, exchanged, noise, options, training_kernels
from tests.unit.nn.attention.kernels.by_rows import attention_by_rows

B, H, T, S, K = 2, 4, 5, 7, 6
MASK = noise(B, 1, T, S, seed=9) > -0.5
MASK[1, 0, 3] = False  # a query that may see nothing
BIAS = noise(H, T, S, seed=8)


def made(option: str) -> Kernel:
    return build(exchanged(compose_config(), kernel=option), "kernel")


WITH_SINKS = [option for option in options("kernel") if "sinks" in made(option).supports]
TRAINING: Any = pytest.mark.parametrize("kernel", training_kernels(), indirect=True)


@pytest.fixture(params=options("kernel"))
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return made(request.param)


def qkv(n_kv_heads: int = H) -> tuple[Tensor, Tensor, Tensor]:
    return noise(B, H, T, K), noise(B, n_kv_heads, S, K, seed=1), noise(B, n_kv_heads, S, K, seed=2)


def test_without_a_mask(kernel: Kernel) -> None:
    q, k, v = qkv()
    y = kernel(q, k, v, AttentionContext(), 0.0)
    torch.testing.assert_close(y, attention_by_rows(q, k, v), rtol=0, atol=1e-10)


def test_true_in_a_mask_means_may_attend(kernel: Kernel) -> None:
    q, k, v = qkv()
    y = kernel(q, k, v, AttentionContext(MASK), 0.0)
    torch.testing.assert_close(y, attention_by_rows(q, k, v, MASK), rtol=0, atol=1e-10)


def test_is_causal_is_the_lower_triangle(kernel: Kernel) -> None:
    q, k, v = qkv()
    k, v = k[:, :, :T], v[:, :, :T]
    lower = torch.ones(T, T).tril().bool()
    y = kernel(q, k, v, AttentionContext(is_causal=True), 0.0)
    torch.testing.assert_close(y, attention_by_rows(q, k, v, lower), rtol=0, atol=1e-10)


@pytest.mark.parametrize("bias", [BIAS, noise(B, H, T, S, seed=7)], ids=["shared", "per row"])
def test_bias_is_added_to_the_scores(kernel: Kernel, bias: Tensor) -> None:
    q, k, v = qkv()
    mask = MASK if bias.ndim == 4 else MASK[1:]
    limited = bias.masked_fill(~(mask if bias.ndim == 4 else mask[0]), -torch.inf)
    y = kernel(q, k, v, AttentionContext(mask, limited), 0.0)
    torch.testing.assert_close(y, attention_by_rows(q, k, v, mask, bias), rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_kv_heads", [2, 1])
def test_query_heads_share_key_heads_in_order(kernel: Kernel, n_kv_heads: int) -> None:
    q, k, v = qkv(n_kv_heads)
    y = kernel(q, k, v, AttentionContext(MASK), 0.0)
    torch.testing.assert_close(y, attention_by_rows(q, k, v, MASK), rtol=0, atol=1e-10)


@TRAINING
def test_a_query_that_sees_nothing_gets_zeros_and_finite_gradients(kernel: Kernel) -> None:
    leaves = [x.requires_grad_() for x in qkv()]
    hidden = BIAS.masked_fill(~MASK[1], -torch.inf)
    for context in (AttentionContext(MASK[1:]), AttentionContext(MASK[1:], hidden)):
        y = kernel(leaves[0], leaves[1], leaves[2], context, 0.0)
        assert torch.equal(y[:, :, 3], torch.zeros(B, H, K, dtype=torch.float64))
        y.sum().backward()
        assert all(bool(x.grad.isfinite().all()) for x in leaves)
        assert not leaves[0].grad[:, :, 3].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_masks_do_not_overflow(kernel: Kernel, dtype: torch.dtype) -> None:
    q, k, v = (x.to(dtype) for x in qkv())
    wanted = attention_by_rows(q.double(), k.double(), v.double(), MASK)
    y = kernel(q, k, v, AttentionContext(MASK), 0.0)
    assert y.dtype == dtype
    torch.testing.assert_close(y.double(), wanted, rtol=0, atol=0.03)


@pytest.mark.parametrize(("wide", "value"), [(6, 9), (6, 4)])
def test_values_may_have_another_width(kernel: Kernel, wide: int, value: int) -> None:
    q, k, _ = qkv(2)
    v = noise(B, 2, S, value, seed=2)
    y = kernel(q, k, v, AttentionContext(MASK), 0.0)
    torch.testing.assert_close(y, attention_by_rows(q, k, v, MASK), rtol=0, atol=1e-10)
    y = kernel(q, k[:, :, :T], v[:, :, :T], AttentionContext(is_causal=True), 0.0)
    lower = torch.ones(T, T).tril().bool()
    wanted = attention_by_rows(q, k[:, :, :T], v[:, :, :T], lower)
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-10)


SINKS = torch.tensor([0.0, 1.5, -2.0, 30.0], dtype=torch.float64)
CONTEXTS = {
    "no mask": AttentionContext(),
    "a mask": AttentionContext(MASK),
    "is_causal": AttentionContext(is_causal=True),
    "a bias": AttentionContext(MASK[1:], BIAS.masked_fill(~MASK[1], -torch.inf)),
}


@pytest.mark.parametrize("kernel", WITH_SINKS, indirect=True)
@pytest.mark.parametrize("value", [K, 9])
@pytest.mark.parametrize("n_kv_heads", [H, 2])
@pytest.mark.parametrize("name", list(CONTEXTS))
def test_sinks_are_keys_whose_value_is_zero(
    kernel: Kernel, name: str, n_kv_heads: int, value: int
) -> None:
    """The same as attention over one more key and one more dimension, worked row by row."""
    context, (q, k, _) = CONTEXTS[name], qkv(n_kv_heads)
    n = T if context.is_causal else S
    k, v = k[:, :, :n], noise(B, n_kv_heads, n, value, seed=2)
    y = kernel(q, k, v, context, 0.0, ScoreMods(sinks=SINKS))
    groups = H // n_kv_heads
    keys, values = (x.repeat_interleave(groups, dim=1) for x in (k, v))
    mask = torch.ones(T, T).tril().bool() if context.is_causal else context.mask
    for h in range(H):
        bias = torch.zeros(1, 1, T, n + 1, dtype=torch.float64)
        bias[..., n] = SINKS[h]
        if context.bias is not None:
            bias[..., :n] = BIAS[h]
        seen = (
            None
            if mask is None
            else nn.functional.pad(
                mask.expand(1, 1, T, n) if mask.ndim == 2 else mask, (0, 1), value=True
            )
        )
        wanted = attention_by_rows(
            q[:, h : h + 1],
            nn.functional.pad(keys[:, h : h + 1], (0, 0, 0, 1)),
            nn.functional.pad(values[:, h : h + 1], (0, 0, 0, 1)),
            seen,
            bias,
        )
        torch.testing.assert_close(y[:, h : h + 1], wanted, rtol=0, atol=1e-10)


@TRAINING
def test_gradient_of_sinks(kernel: Kernel) -> None:
    leaves = [x[:1, :2, :3, :3].clone().requires_grad_() for x in qkv()]
    sinks = SINKS[:2].clone().requires_grad_()
    for context in (AttentionContext(is_causal=True), AttentionContext(MASK[:1, :, :3, :3])):

        def run(sinks: Tensor, *qkv: Tensor, context: AttentionContext = context) -> Tensor:
            return kernel(*qkv, context, 0.0, ScoreMods(sinks=sinks))

        assert torch.autograd.gradcheck(run, (sinks, *leaves))


def test_large_scores_do_not_overflow(kernel: Kernel) -> None:
    q, k, v = qkv()
    y = kernel(100 * q, 100 * k, v, AttentionContext(MASK), 0.0)
    best = (q @ k.mT).masked_fill(~MASK, -torch.inf).argmax(-1)
    wanted = v.gather(2, best[..., None].expand(B, H, T, K))
    wanted[1, :, 3] = 0
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-6)


@TRAINING
def test_dropout_leaves_out_weights_and_scales_the_rest(kernel: Kernel) -> None:
    torch.manual_seed(0)
    q, v = torch.zeros(1, 1, 100, 4), torch.eye(100)[None, None]
    weights = kernel(q, q, v, AttentionContext(), 0.25)[0, 0]  # uniform weights 1/100 before
    kept = weights > 0
    assert abs(float(kept.float().mean()) - 0.75) < 0.02
    torch.testing.assert_close(weights[kept], torch.full_like(weights[kept], 0.01 / 0.75))


@TRAINING
def test_gradient(kernel: Kernel) -> None:
    leaves = [x[:1, :2, :3, :3].clone().requires_grad_() for x in qkv()]
    context = AttentionContext(torch.tensor([[1, 0, 1], [0, 1, 1], [1, 1, 1]]).bool()[None, None])

    def run(*qkv: Tensor) -> Tensor:
        return kernel(*qkv, context, 0.0)

    assert torch.autograd.gradcheck(run, leaves)


def test_equals_the_attention_of_torch_whose_masks_are_the_other_way_round(kernel: Kernel) -> None:
    torch.manual_seed(0)
    theirs: Any = nn.MultiheadAttention(H * K, H, bias=False, batch_first=True).double()
    x, memory = noise(B, T, H * K), noise(B, S, H * K, seed=1)
    mask = MASK[0, 0]
    wanted, _ = theirs(x, memory, memory, attn_mask=~mask, need_weights=False)
    wq, wk, wv = theirs.in_proj_weight.chunk(3)
    q, k, v = (
        (y @ w.T).detach().unflatten(-1, (H, K)).transpose(1, 2)
        for y, w in ((x, wq), (memory, wk), (memory, wv))
    )
    y = kernel(q, k, v, AttentionContext(mask[None, None]), 0.0)
    y = y.transpose(1, 2).flatten(2) @ theirs.out_proj.weight.T
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-10)

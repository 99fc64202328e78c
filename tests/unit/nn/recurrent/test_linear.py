from __future__ import annotations

import pytest
import torch

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.init.base import initialise
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.recurrent.linear import LinearAttention
from tests.conftest import noise

EXACT = 1e-12  # between two orders of the same float64 arithmetic
D, T, S = 8, 7, 5


def layer(info: LayerInfo, eps: float = 1e-6) -> LinearAttention:
    module = LinearAttention(D, n_heads=2, eps=eps, chunk_size=3, bias=True)
    initialise(module, Normal(std=0.5), 0)
    module.configure_layer(info)
    return module.double().eval()


def by_pairs(
    module: LinearAttention, x: torch.Tensor, source: torch.Tensor, seen: torch.Tensor
) -> torch.Tensor:
    """The definition: weights f(q) f(k)^T for every pair, divided by their sum and eps."""
    elu = torch.nn.functional.elu
    q, k = elu(module.q(x)) + 1, elu(module.k(source)) + 1
    v, heads = module.v(source), []
    for head in range(2):
        mine = slice(4 * head, 4 * head + 4)
        weights = (q[..., mine] @ k[..., mine].mT) * seen
        heads.append(weights @ v[..., mine] / (weights.sum(dim=-1, keepdim=True) + module.eps))
    return module.out(torch.cat(heads, dim=-1))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("eps", [0.0, 0.5])
def test_equals_all_pairs(causal: bool, eps: float) -> None:
    module, x = layer(LayerInfo(causal=causal), eps), noise(2, T, D)
    seen = torch.ones(T, T).tril() if causal else torch.ones(T, T)
    y = module(x, AttentionContext(is_causal=causal))
    torch.testing.assert_close(y, by_pairs(module, x, x, seen), rtol=0, atol=EXACT)


def test_reads_the_real_tokens_of_a_source() -> None:
    module = layer(LayerInfo(cross=True, causal=False))
    x, source = noise(2, T, D), noise(2, S, D, seed=1)
    real = torch.tensor([[True] * 5, [True, True, True, False, False]])
    context = AttentionContext(real[:, None, None])
    y = module(x, context, memory=source)
    wanted = by_pairs(module, x, source, real[:, None].double())
    torch.testing.assert_close(y, wanted, rtol=0, atol=EXACT)
    hidden = source.masked_fill(~real[..., None], 7.0)
    assert torch.equal(module(x, context, memory=hidden), y), "what pads hold is heard"
    cache = module.new_cache(S)
    steps = [module(x[:, t : t + 1], context, memory=source, cache=cache) for t in range(T)]
    torch.testing.assert_close(torch.cat(steps, dim=1), y, rtol=0, atol=EXACT)


def test_one_head_by_hand() -> None:
    """q = k = v = x of width 1: f(1) = 2, f(-1) = 1/e, f(0) = 1."""
    module = LinearAttention(1, n_heads=1, eps=0.0).double()
    for part in (module.q, module.k, module.v, module.out):
        torch.nn.init.ones_(part.weight)
    y = module(torch.tensor([[[1.0], [-1.0], [0.0]]]).double(), AttentionContext())
    e = torch.tensor(1.0).double().exp()
    second = (2 - 1 / e) / (2 + 1 / e)
    third = (2 - 1 / e) / (2 + 1 / e + 1)
    wanted = torch.stack((torch.ones_like(e), second, third))
    torch.testing.assert_close(y[0, :, 0], wanted, rtol=0, atol=1e-15)


def test_features_keep_their_digits_where_they_are_small() -> None:
    """exp(x) of float32, where elu(x) + 1 would leave three digits."""
    module = LinearAttention(4, n_heads=1)
    x = torch.full((1, 1, 4), -10.0)
    torch.testing.assert_close(module._features(x)[0, 0], x[0].exp(), rtol=1e-6, atol=0)


def test_flops_of_both_directions() -> None:
    """Sums and their reading cost 4 K (K + 1) for each head; pairs come on top where causal."""
    both, causal = layer(LayerInfo(causal=False)), layer(LayerInfo())
    assert both.flops(9) == both.flops(1) == 2 * 4 * 4 * 5
    assert causal.flops(1.0) == 2 * (4 * 4 * 5 + 2 * (4 + 5))


def test_refuses_a_negative_eps() -> None:
    with pytest.raises(ValueError, match=r"eps=-1.0 must be a number of at least 0"):
        LinearAttention(D, eps=-1.0)

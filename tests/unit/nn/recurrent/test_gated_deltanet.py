from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Qwen3NextConfig
from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextGatedDeltaNet

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.init.base import initialise
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.nn.recurrent.chunked_scan import delta_rule
from lightning_transformer.nn.recurrent.gated_deltanet import GatedDeltaNet
from tests.conftest import noise

D, T, K = 12, 37, 6
CAUSAL = AttentionContext(is_causal=True)


def layer(**options: Any) -> GatedDeltaNet:
    module = GatedDeltaNet(D, **{"n_heads": 2, "n_v_heads": 4, "chunk_size": 8, **options})
    initialise(module, Normal(std=0.3), 0)
    with torch.no_grad():
        module.gain += 0.3 * noise(*module.gain.shape).float()
    return module.double().eval()


def by_tokens(module: GatedDeltaNet, x: Tensor) -> Tensor:
    """The recurrence as the paper writes it, one token and one head at a time."""
    width = module.head_dim
    raw = torch.cat((module.q(x), module.k(x), module.v(x)), dim=-1)
    size = module.conv.size
    mixed = torch.zeros_like(raw)
    for t in range(x.shape[1]):
        for back in range(min(size, t + 1)):
            mixed[:, t] += raw[:, t - back] * module.conv.weight[:, size - 1 - back]
    heads = F.silu(mixed).unflatten(-1, (-1, width))
    decay = (-module.A_log.exp() * F.softplus(module.a(x) + module.dt_bias)).exp()
    rate, unit = module.b(x).sigmoid(), torch.eye(width).double()
    outputs = []
    for head in range(module.n_v_heads):
        shared = head // (module.n_v_heads // module.n_heads)
        q, k = heads[:, :, shared], heads[:, :, module.n_heads + shared]
        v = heads[:, :, 2 * module.n_heads + head]
        q, k = (t / (t.square().sum(-1, keepdim=True) + 1e-6).sqrt() for t in (q, k))
        state, steps = x.new_zeros(x.shape[0], width, width), []
        for t in range(x.shape[1]):
            b, key = rate[:, t, head, None, None], k[:, t, :, None]
            state = decay[:, t, head, None, None] * (unit - b * key @ key.mT) @ state
            state = state + b * key @ v[:, t, None]
            steps.append((q[:, t, None] @ state)[:, 0] / width**0.5)
        y = torch.stack(steps, dim=1)
        normed = y / (y.square().mean(dim=-1, keepdim=True) + module.eps).sqrt()
        outputs.append(normed * module.gain)
    return module.out(torch.cat(outputs, dim=-1) * F.silu(module.g(x)))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_v_heads": 2},
        {"head_dim": 3, "bias": True},
        {"conv_size": 2, "eps": 0.1},
        {"conv_size": 1},
    ],
)
def test_equals_the_recurrence(options: dict[str, Any]) -> None:
    module, x = layer(**options), noise(2, T, D)
    torch.testing.assert_close(module(x, CAUSAL), by_tokens(module, x), rtol=0, atol=1e-11)


def reference(module: GatedDeltaNet) -> Qwen3NextGatedDeltaNet:
    """Hugging Face's layer with our weights; it keeps the parts of a key head side by side."""
    n, each = module.n_heads, module.n_v_heads // module.n_heads
    config = Qwen3NextConfig(
        hidden_size=D,
        linear_num_key_heads=n,
        linear_num_value_heads=module.n_v_heads,
        linear_key_head_dim=module.head_dim,
        linear_value_head_dim=module.head_dim,
        linear_conv_kernel_dim=module.conv.size,
        rms_norm_eps=module.eps,
        num_hidden_layers=1,
        layer_types=["linear_attention"],
    )
    theirs = Qwen3NextGatedDeltaNet(config, layer_idx=0).double().eval()
    rows = [getattr(module, name).weight.unflatten(0, (n, -1)) for name in ("q", "k", "v", "g")]
    small = [getattr(module, name).weight.unflatten(0, (n, each)) for name in ("b", "a")]
    weights = {
        "in_proj_qkvz.weight": torch.cat(rows, dim=1).flatten(0, 1),
        "in_proj_ba.weight": torch.cat(small, dim=1).flatten(0, 1),
        "conv1d.weight": module.conv.weight[:, None],
        "A_log": module.A_log,
        "dt_bias": module.dt_bias,
        "norm.weight": module.gain,
        "out_proj.weight": module.out.weight,
    }
    theirs.load_state_dict(weights)
    return theirs


@pytest.mark.parametrize("options", [{}, {"n_v_heads": 2}, {"n_heads": 4, "n_v_heads": 4}])
@torch.no_grad()
def test_equals_hugging_face(options: dict[str, int]) -> None:
    """Which computes in float32 whatever the weights are: seven digits at best."""
    module, x = layer(**options), noise(2, T, D)
    torch.testing.assert_close(module(x, CAUSAL), reference(module)(x), rtol=0, atol=1e-5)


def test_a_state_answers_with_what_it_was_told() -> None:
    """Nothing decays and b = 1: after k -> v, asking with k gives v / sqrt(K), also told anew."""
    keys = torch.eye(3)[[0, 1, 0, 2]].double()[None, None]
    values = noise(1, 1, 4, 2)
    ones, never = torch.ones(1, 1, 4).double(), torch.zeros(1, 1, 4).double()
    y, state = delta_rule(keys, keys, values, ones, never, documents=None, state=None, chunk_size=3)
    torch.testing.assert_close(y, values, rtol=0, atol=1e-15)
    wanted = values[0, 0, [2, 1, 3]]  # the third token took the place of the first
    torch.testing.assert_close(state[0, 0], wanted, rtol=0, atol=1e-15)


def test_flops_by_hand() -> None:
    """Rows of 4: k k^T, q k^T and weights times values, the system, three products with S."""
    module = layer()
    assert module.flops(2.5) == 4 * (3 * 2 * 4 * K + 4 * 2 * K + 3 * 2 * K * K)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_v_heads": 3}, "attention.n_v_heads=3 must be a multiple of attention.n_heads=2, "),
        ({"n_v_heads": 0}, "attention.n_v_heads=0 must be a multiple"),
        ({"n_heads": 0}, "n_heads=0 must be at least 1"),
        ({"n_heads": 5, "n_v_heads": 5}, "model.d_model=12 is not divisible by attention.n_heads"),
        ({"head_dim": 0}, "head_dim=0 must be at least 1"),
        ({"conv_size": 0}, "conv_size=0 must be at least 1"),
        ({"eps": -1.0}, "eps=-1.0 must be a positive number"),
    ],
)
def test_refusals(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        layer(**options)

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Mamba2Config
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.init.base import initialise
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.nn.recurrent.mamba2 import Mamba2
from tests.conftest import noise

D, T = 12, 37
CAUSAL = AttentionContext(is_causal=True)


def layer(**options: Any) -> Mamba2:
    module = Mamba2(D, **{"n_heads": 6, "d_state": 5, "chunk_size": 8, **options})
    initialise(module, Normal(std=0.3), 0)
    with torch.no_grad():
        for name in ("skip", "gain", "conv.bias"):
            part = module.get_parameter(name)
            part += 0.3 * noise(*part.shape, seed=len(name)).float()
    return module.double().eval()


def by_tokens(module: Mamba2, x: Tensor) -> Tensor:
    """The recurrence as the paper writes it, one token and one head at a time."""
    width, shared = module.head_dim, module.n_groups * module.d_state
    raw = torch.cat((module.u(x), module.b(x), module.c(x)), dim=-1)
    size = module.conv.size
    mixed = torch.zeros_like(raw)
    for t in range(x.shape[1]):
        for back in range(min(size, t + 1)):
            mixed[:, t] += raw[:, t - back] * module.conv.weight[:, size - 1 - back]
    mixed = F.silu(mixed + module.conv.bias)
    u, b, c = mixed.split((module.n_heads * width, shared, shared), dim=-1)
    step = F.softplus(module.dt(x) + module.dt_bias)
    y = torch.zeros_like(u)
    for head in range(module.n_heads):
        group = head // (module.n_heads // module.n_groups)
        rows = slice(group * module.d_state, (group + 1) * module.d_state)
        mine = slice(head * width, (head + 1) * width)
        state = x.new_zeros(x.shape[0], module.d_state, width)
        for t in range(x.shape[1]):
            dt = step[:, t, head, None, None]
            state = (-dt * module.A_log[head].exp()).exp() * state
            state = state + dt * b[:, t, rows, None] * u[:, t, None, mine]
            y[:, t, mine] = (c[:, t, rows, None] * state).sum(1) + module.skip[head] * u[:, t, mine]
    gated = (y * F.silu(module.z(x))).unflatten(-1, (module.n_groups, -1))
    normed = gated / (gated.square().mean(dim=-1, keepdim=True) + module.eps).sqrt()
    return module.out(normed.flatten(-2) * module.gain)


@pytest.mark.parametrize(
    "options", [{}, {"n_groups": 3}, {"conv_size": 1}, {"expand": 3, "bias": True, "eps": 0.1}]
)
def test_equals_the_recurrence(options: dict[str, Any]) -> None:
    module, x = layer(**options), noise(2, T, D)
    torch.testing.assert_close(module(x, CAUSAL), by_tokens(module, x), rtol=0, atol=1e-11)


def reference(module: Mamba2) -> Mamba2Mixer:
    """Hugging Face's layer with our weights."""
    config = Mamba2Config(
        hidden_size=D,
        expand=2,
        num_heads=module.n_heads,
        head_dim=module.head_dim,
        state_size=module.d_state,
        n_groups=module.n_groups,
        conv_kernel=module.conv.size,
        chunk_size=8,
        layer_norm_epsilon=module.eps,
        num_hidden_layers=1,
    )
    theirs = Mamba2Mixer(config, layer_idx=0).double().eval()
    joined = torch.cat([getattr(module, n).weight for n in ("z", "u", "b", "c", "dt")])
    weights = {
        "in_proj.weight": joined,
        "conv1d.weight": module.conv.weight[:, None],
        "conv1d.bias": module.conv.bias,
        "A_log": module.A_log,
        "dt_bias": module.dt_bias,
        "D": module.skip,
        "norm.weight": module.gain,
        "out_proj.weight": module.out.weight,
    }
    theirs.load_state_dict(weights)
    return theirs


@pytest.mark.parametrize("n_groups", [1, 2, 6])
@torch.no_grad()
def test_equals_hugging_face(n_groups: int) -> None:
    """Which computes in float32 whatever the weights are: seven digits at best."""
    module, x = layer(n_groups=n_groups), noise(2, T, D)
    y, theirs = module(x, CAUSAL), reference(module)
    torch.testing.assert_close(y, theirs(x), rtol=0, atol=1e-5)
    padding = torch.arange(T) < torch.tensor([[0], [9]])
    left = module(x, AttentionContext(padding=padding))
    # They leave pads in the decay and zero their inputs, which comes to the same on the left.
    padded = theirs(x, attention_mask=(~padding).double())
    torch.testing.assert_close(left[~padding], padded[~padding], rtol=0, atol=1e-5)


def test_flops_by_hand() -> None:
    """Rows of 4 in chunks of 8: C B^T once for a group, weights times u, two products with S."""
    module = layer(n_groups=2)
    pairs = 2 * 4 * (2 * 5) + 2 * 4 * 24
    assert module.flops(2.5) == pairs + 2 * 2 * 24 * 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_groups": 4}, "attention.n_groups=4 must divide attention.n_heads=6, as 1 does"),
        ({"n_groups": 0}, "n_groups=0 must be at least 1"),
        ({"expand": 0}, "expand=0 must be at least 1"),
        ({"d_state": 0}, "d_state=0 must be at least 1"),
        ({"conv_size": 0}, "conv_size=0 must be at least 1"),
        ({"eps": 0.0}, "eps=0.0 must be a positive number"),
        (
            {"n_heads": 5},
            r"attention.expand \* model.d_model=24 is not divisible by attention.n_heads=5; "
            "nearest 20 or 25",
        ),
    ],
)
def test_refusals(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        layer(**options)

"""attention=gated."""

from functools import partial

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.gated import Gated
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.testing.checks import check_attention
from tests.conftest import noise
from tests.unit.nn.attention.references import D, T, cos_sin, hugging_face, made, turning

H, K = 4, 6


def test_gates_of_elements_equal_qwen3_next_of_transformers() -> None:
    theirs = hugging_face("qwen3_next", "Qwen3Next")
    ours = made(Gated, n_kv_heads=2, qk_norm=RMSNorm)
    with torch.no_grad():
        q, gate = theirs.q_proj.weight.unflatten(0, (H, 2, K)).unbind(1)
        ours.q.weight.copy_(q.flatten(0, 1))
        ours.gate.weight.copy_(gate.flatten(0, 1))
        for mine, other in (("k", "k"), ("v", "v"), ("out", "o")):
            getattr(ours, mine).weight.copy_(getattr(theirs, f"{other}_proj").weight)
        ours.q_norm.weight.copy_(1 + theirs.q_norm.weight)
        ours.k_norm.weight.copy_(1 + theirs.k_norm.weight)
    x = noise(2, T, D)
    wanted, _ = theirs(x, cos_sin(K), None)
    # Their norm is computed in float32.
    torch.testing.assert_close(ours(x, turning(K)), wanted, rtol=0, atol=1e-5)


def test_a_gate_of_a_head_is_that_of_all_its_elements() -> None:
    one, each = made(Gated, per_head=True, bias=True), made(Gated, bias=True)
    assert one.gate.weight.shape == (H, D)

    def spread(x: Tensor) -> Tensor:
        return x.repeat_interleave(K, dim=0)

    state = one.state_dict()
    for name in ("gate.weight", "gate.bias"):
        state[name] = spread(state[name])
    each.load_state_dict(state)
    x = noise(2, T, D)
    torch.testing.assert_close(one(x, turning(K)), each(x, turning(K)), rtol=0, atol=1e-12)


def test_gates_are_made_of_what_asks_and_not_of_the_source() -> None:
    ours, x, memory = made(Gated), noise(2, T, D), noise(2, 5, D, seed=1)
    with torch.no_grad():
        ours.gate.weight.zero_()
        half = ours(x, AttentionContext(), memory)
        plain = super(Gated, ours).join(_heads(ours, x, memory), x)
    torch.testing.assert_close(half, plain / 2, rtol=0, atol=1e-12)


def _heads(ours: Gated, x: Tensor, memory: Tensor) -> Tensor:
    q, k, v = (
        (y @ w.T).unflatten(-1, (H, K)).transpose(1, 2)
        for y, w in ((x, ours.q.weight), (memory, ours.k.weight), (memory, ours.v.weight))
    )
    return (q @ k.mT / K**0.5).softmax(-1) @ v


@pytest.mark.parametrize("per_head", [True, False])
def test_contract_with_other_options(per_head: bool) -> None:
    check_attention(
        partial(
            Gated,
            kernel=SDPA() if per_head else Eager(),
            qk_norm=RMSNorm if per_head else NoNorm,
            per_head=per_head,
            n_kv_heads=2,
            head_dim=3,
            bias=True,
        )
    )

"""attention=sinks."""

from functools import partial
from typing import Any

import pytest
import torch

from lightning_transformer.nn.attention.kernels.base import Kernel
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.attention.sinks import Sinks
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.testing.checks import check_attention
from tests.conftest import noise
from tests.unit.nn.attention.references import (
    D,
    T,
    angles,
    below,
    copy_projections,
    hugging_face,
    made,
    turning,
)

K = 6
KERNELS: Any = pytest.mark.parametrize("kernel", [Eager(), SDPA()], ids=["eager", "sdpa"])


@KERNELS
def test_equals_gpt_oss_of_transformers(kernel: Kernel) -> None:
    theirs = hugging_face("gpt_oss", "GptOss", attention_bias=True, attn_implementation="eager")
    ours = made(Sinks, n_kv_heads=2, kernel=kernel, bias=True)
    copy_projections(ours, theirs)
    with torch.no_grad():
        ours.sinks.copy_(theirs.sinks)
    x, turn = noise(2, T, D), angles(K)[None]
    wanted, _ = theirs(x, (turn.cos(), turn.sin()), below())
    torch.testing.assert_close(ours(x, turning(K)), wanted, rtol=0, atol=1e-12)


@KERNELS
def test_is_plain_attention_times_the_share_that_is_left(kernel: Kernel) -> None:
    """y sigmoid(lse - sink), lse = log of the sum of exp of the scores."""
    ours, plain = made(Sinks, kernel=kernel), made(MultiHeadAttention)
    plain.load_state_dict({n: w for n, w in ours.state_dict().items() if n != "sinks"})
    heads: list[torch.Tensor] = []
    for layer in (ours, plain):
        layer.join = lambda y, x: heads.append(y) or x
        layer(noise(2, T, D), turning(K))
    q, k = (
        turning(K).rotate((noise(2, T, D) @ w.T).unflatten(-1, (4, K)).transpose(1, 2))
        for w in (ours.q.weight, ours.k.weight)
    )
    lse = (q @ k.mT / K**0.5 + below()).logsumexp(-1)
    share = torch.sigmoid(lse - ours.sinks[:, None])
    torch.testing.assert_close(heads[0], heads[1] * share[..., None], rtol=0, atol=1e-12)


def test_sinks_start_at_zero() -> None:
    layer = Sinks(D, kernel=SDPA(), qk_norm=RMSNorm)
    assert layer.sinks.tolist() == [0.0] * 4


@KERNELS
def test_contract_with_other_options(kernel: Kernel) -> None:
    check_attention(
        partial(Sinks, kernel=kernel, qk_norm=RMSNorm, n_kv_heads=2, head_dim=3, scale=0.7)
    )

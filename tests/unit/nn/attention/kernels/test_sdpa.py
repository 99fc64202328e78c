"""kernel=sdpa: what it can do; what holds of all kernels is in test_kernels.py."""

from __future__ import annotations

import pytest
import torch

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import require
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from tests.conftest import noise


def test_it_equals_eager_with_a_triangle_and_grouped_heads() -> None:
    q, (k, v) = noise(2, 4, 5, 6), (noise(2, 2, 5, 6, seed=seed) for seed in (1, 2))
    context = AttentionContext(is_causal=True)
    found, wanted = (kernel(q, k, v, context, 0.0) for kernel in (SDPA(), Eager()))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("what", ["mix_scores", "softcap", "mix_weights"])
def test_what_it_does_not_compute_is_refused_in_one_line(what: str) -> None:
    with pytest.raises(
        ValueError, match=rf"needs {what}, which kernel=sdpa does not compute; use kernel=eager$"
    ):
        require(SDPA(), {what}, "any")
    require(SDPA(), {"sinks"}, "any")


def test_a_step_of_decoding_stays_in_bfloat16_and_near_float32() -> None:
    q, k, v = noise(2, 4, 1, 16), noise(2, 2, 40, 16, seed=1), noise(2, 2, 40, 16, seed=2)
    with torch.no_grad():
        found = SDPA()(*(x.bfloat16() for x in (q, k, v)), AttentionContext(), 0.0)
        exact = SDPA()(*(x.bfloat16().double() for x in (q, k, v)), AttentionContext(), 0.0)
    assert found.dtype == torch.bfloat16
    # Half a unit in the last of its 8 digits of the weights and of the result.
    torch.testing.assert_close(found.double(), exact, rtol=2**-7, atol=2**-7)

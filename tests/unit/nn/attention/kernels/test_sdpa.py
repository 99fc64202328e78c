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

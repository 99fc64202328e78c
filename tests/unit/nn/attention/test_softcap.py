"""attention=softcap."""

import math
from functools import partial

import pytest
import torch

from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.attention.softcap import Softcap
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.testing.checks import check_attention
from tests.conftest import noise
from tests.unit.nn.attention.references import (
    D,
    T,
    below,
    copy_projections,
    cos_sin,
    hugging_face,
    made,
    turning,
)

K = 6


def test_equals_gemma2_of_transformers() -> None:
    theirs = hugging_face(
        "gemma2",
        "Gemma2",
        query_pre_attn_scalar=10,
        attn_logit_softcapping=0.3,
        attn_implementation="eager",
    )
    ours = made(Softcap, n_kv_heads=2, cap=0.3, scale=10**-0.5)
    copy_projections(ours, theirs)
    x = noise(2, T, D)
    wanted, _ = theirs(x, cos_sin(K), below())
    # Their softmax is computed in float32.
    torch.testing.assert_close(ours(x, turning(K)), wanted, rtol=0, atol=1e-6)
    uncapped = made(Softcap, n_kv_heads=2, cap=1e6, scale=10**-0.5)
    copy_projections(uncapped, theirs)
    assert (uncapped(x, turning(K)) - wanted).abs().max() > 1e-3


def test_no_weight_is_above_what_the_cap_allows() -> None:
    """Of two keys the better one has at most sigmoid(2 cap)."""
    layer = made(Softcap, cap=1.0)
    q, k = 1000 * noise(1, 4, 1, K), noise(1, 4, 2, K, seed=1)
    v = torch.eye(2, K, dtype=torch.float64).expand(1, 4, 2, K)
    weights = layer.attend(q, k, v, turning(K, 1, 1))
    assert weights.max() <= 1 / (1 + math.exp(-2)) + 1e-12


def test_other_kernels_are_refused() -> None:
    line = "attention=softcap needs softcap, which kernel=sdpa does not compute; use kernel=eager"
    with pytest.raises(ValueError, match=f"^{line}$"):
        Softcap(D, kernel=SDPA(), qk_norm=NoNorm)


@pytest.mark.parametrize("cap", [0.0, -1.0, float("inf"), float("nan")])
def test_cap_is_a_positive_number(cap: float) -> None:
    with pytest.raises(ValueError, match=f"cap={cap} must be a positive number, for example 50.0"):
        Softcap(D, kernel=Eager(), qk_norm=NoNorm, cap=cap)


def test_contract_with_other_options() -> None:
    check_attention(
        partial(Softcap, kernel=Eager(), qk_norm=RMSNorm, n_kv_heads=2, head_dim=3, cap=0.5)
    )

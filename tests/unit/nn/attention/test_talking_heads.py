"""attention=talking_heads."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.attention.talking_heads import TalkingHeads
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.testing.checks import check_attention
from tests.conftest import noise
from tests.unit.nn.attention.references import D, T, made, turning

H, K = 4, 6


def by_hand(layer: TalkingHeads, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal, number by number: q, k, v (H, T, K) -> (H, T, K)."""
    out = torch.zeros(H, T, K, dtype=torch.float64)
    before, after = layer.before.tolist(), layer.after.tolist()
    for t in range(T):
        raw = [[float(q[h, t] @ k[h, s]) / math.sqrt(K) for s in range(t + 1)] for h in range(H)]
        mixed = [
            [sum(before[h][g] * raw[g][s] for g in range(H)) for s in range(t + 1)]
            for h in range(H)
        ]
        powers = [[math.exp(score) for score in row] for row in mixed]
        weights = [[p / sum(row) for p in row] for row in powers]
        for h in range(H):
            for s in range(t + 1):
                out[h, t] += sum(after[h][g] * weights[g][s] for g in range(H)) * v[h, s]
    return out


@torch.no_grad()
def test_equals_mixing_number_by_number() -> None:
    layer, q, k, v = made(TalkingHeads), *(noise(1, H, T, K, seed=i) for i in range(3))
    y = layer.attend(q, k, v, turning(K))
    torch.testing.assert_close(y[0], by_hand(layer, q[0], k[0], v[0]), rtol=0, atol=1e-12)


def test_starts_as_plain_attention() -> None:
    layer = TalkingHeads(D, kernel=Eager(), qk_norm=NoNorm, n_kv_heads=2).double()
    plain = MultiHeadAttention(D, kernel=Eager(), qk_norm=NoNorm, n_kv_heads=2).double()
    kept = {n: w for n, w in layer.state_dict().items() if n not in ("before", "after")}
    plain.load_state_dict(kept)
    x = noise(2, T, D)
    torch.testing.assert_close(layer(x, turning(K)), plain(x, turning(K)), rtol=0, atol=1e-12)


def test_other_kernels_are_refused() -> None:
    line = (
        "attention=talking_heads needs mix_scores, which kernel=sdpa does not compute; "
        "use kernel=eager"
    )
    with pytest.raises(ValueError, match=f"^{line}$"):
        TalkingHeads(D, kernel=SDPA(), qk_norm=NoNorm)


def test_flops_count_the_mixing() -> None:
    """Scores and sum 4 H K, mixings 4 H^2, per key."""
    assert made(TalkingHeads).flops(10.0) == (4 * H * K + 4 * H * H) * 10.0


def test_contract_with_other_options() -> None:
    check_attention(
        partial(TalkingHeads, kernel=Eager(), qk_norm=RMSNorm, n_kv_heads=2, head_dim=3)
    )

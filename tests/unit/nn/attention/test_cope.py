"""attention=cope."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.models.encoder_decoder import EncoderDecoder
from lightning_transformer.models.encoder_only import EncoderOnly
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.cope import CoPE
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.testing.checks import check_attention
from tests.conftest import noise
from tests.helpers.assembly import assemble
from tests.unit.nn.attention.references import D, T, made

H, G, K = 4, 2, 6
CAUSAL = AttentionContext(is_causal=True)


def by_hand(layer: Any, q: Tensor, k: Tensor, v: Tensor, seen: list[list[int]]) -> Tensor:
    """Query by query, over the keys that it sees: q (H, T, K), k and v (G, T, K) -> (H, T, K)."""
    e, out = layer.table.weight, torch.zeros(H, T, K, dtype=torch.float64)
    last = len(e) - 1
    for h in range(H):
        for i in range(T):
            keys, values = k[h // (H // G)], v[h // (H // G)]
            scores = {j: float(q[h, i] @ keys[j]) / math.sqrt(K) for j in seen[i]}
            gates = {j: 1 / (1 + math.exp(-s)) for j, s in scores.items()}
            powers = {}
            for j in seen[i]:
                p = min(sum(gates[m] for m in seen[i] if m >= j), last)
                low = math.floor(p)
                high = min(low + 1, last)
                vector = e[low] + (p - low) * (e[high] - e[low])
                powers[j] = math.exp(scores[j] + float(q[h, i] @ vector))
            for j, power in powers.items():
                out[h, i] += power / sum(powers.values()) * values[j]
    return out


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    return noise(1, H, T, K), noise(1, G, T, K, seed=1), noise(1, G, T, K, seed=2)


@pytest.mark.parametrize("n_positions", [2, 4, 64])
@torch.no_grad()
def test_equals_counting_number_by_number(n_positions: int) -> None:
    """Of two positions the second holds for almost all; of four some are beyond the last."""
    layer = made(CoPE, n_positions=n_positions, n_kv_heads=G)
    q, k, v = inputs()
    wanted = by_hand(layer, q[0], k[0], v[0], [list(range(i + 1)) for i in range(T)])
    y = layer.attend(q, k, v, CAUSAL)
    torch.testing.assert_close(y[0], wanted, rtol=0, atol=1e-12)


@torch.no_grad()
def test_keys_that_are_not_seen_do_not_count() -> None:
    layer = made(CoPE, n_positions=4, n_kv_heads=G)
    q, k, v = inputs()
    seen = [[j for j in range(i + 1) if (i - j) % 2 == 0] for i in range(T)]
    mask = torch.tensor([[j in row for j in range(T)] for row in seen])[None, None]
    y = layer.attend(q, k, v, AttentionContext(mask))
    torch.testing.assert_close(y[0], by_hand(layer, q[0], k[0], v[0], seen), rtol=0, atol=1e-12)


@torch.no_grad()
def test_where_every_key_counts_positions_are_distances() -> None:
    """Scores of 50 open all gates: then e is a relative position of its own for each distance."""
    layer = made(CoPE, n_positions=64, n_heads=1, n_kv_heads=1, dim=K)
    q = torch.zeros(1, 1, T, K, dtype=torch.float64)
    q[..., 0] = 50.0 * math.sqrt(K)
    k = torch.zeros_like(q)
    k[..., 0] = 1.0
    v = torch.eye(T, dtype=torch.float64)[None, None]
    found = layer.attend(q, k, v, CAUSAL)[0, 0]  # the weights themselves
    of_distance = layer.table.weight[1 : T + 1] @ q[0, 0, 0]
    distance = torch.arange(T)[:, None] - torch.arange(T)
    wanted = of_distance[distance.clamp(min=0)].masked_fill(distance < 0, -torch.inf).softmax(-1)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-9)


def test_cross_attention_is_plain() -> None:
    layer = CoPE(D, kernel=Eager(), qk_norm=NoNorm)
    layer.configure_layer(LayerInfo(cross=True, causal=False))
    plain = MultiHeadAttention(D, kernel=Eager(), qk_norm=NoNorm)
    plain.load_state_dict(layer.state_dict())
    x, memory, every = noise(2, T, D).float(), noise(2, 3, D).float(), AttentionContext()
    assert torch.equal(layer(x, every, memory=memory), plain(x, every, memory=memory))
    assert layer.flops(10.0) == plain.flops(10.0)


def test_flops_count_queries_times_positions() -> None:
    assert made(CoPE, n_positions=5).flops(10.0) == 4 * H * K * 10.0 + 2 * H * K * 5


@pytest.mark.parametrize("position", ["rope", "rope_nope", "xpos"])
def test_a_rotation_is_refused(position: str) -> None:
    line = (
        "attention=cope makes positions of its own from queries and keys, which "
        f"position={position} turns; use position=none"
    )
    with pytest.raises(ValueError, match=f"^{line}$"):
        assemble(attention="cope", position=position)


@pytest.mark.parametrize("kind", [EncoderOnly, EncoderDecoder])
def test_an_encoder_is_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"^attention=cope counts back .*use attention=mha or mod"):
        assemble(kind, attention="cope")


def test_other_kernels_and_too_few_positions_are_refused() -> None:
    line = "attention=cope needs mix_scores, which kernel=sdpa does not compute; use kernel=eager"
    with pytest.raises(ValueError, match=f"^{line}$"):
        CoPE(D, kernel=SDPA(), qk_norm=NoNorm)
    with pytest.raises(ValueError, match=r"^n_positions=1 must be at least 2, for example 2$"):
        CoPE(D, kernel=Eager(), qk_norm=NoNorm, n_positions=1)


def test_contract_with_other_options() -> None:
    check_attention(
        partial(CoPE, kernel=Eager(), qk_norm=RMSNorm, n_kv_heads=2, head_dim=3, n_positions=3)
    )

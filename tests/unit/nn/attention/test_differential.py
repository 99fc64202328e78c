"""attention=differential."""

import math
from functools import partial
from typing import Any

import pytest
import torch

from lightning_transformer.nn.attention.differential import Differential
from lightning_transformer.nn.attention.kernels.base import Kernel
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.testing.checks import check_attention
from tests.conftest import noise, tiny
from tests.unit.nn.attention.references import (
    D,
    T,
    copy_projections,
    cos_sin,
    hugging_face,
    made,
    turning,
)

H, K = 4, 6
KERNELS: Any = pytest.mark.parametrize("kernel", [Eager(), SDPA()], ids=["eager", "sdpa"])


@KERNELS
@pytest.mark.parametrize("n_kv_heads", [4, 2])
def test_equals_diffllama_of_transformers(kernel: Kernel, n_kv_heads: int) -> None:
    theirs = hugging_face(
        "diffllama", "DiffLlama", num_key_value_heads=n_kv_heads, rms_norm_eps=1e-5
    )
    ours = made(Differential, kernel=kernel, n_kv_heads=n_kv_heads)
    ours.configure_layer(LayerInfo(layer=1, n_layers=2))
    copy_projections(ours, theirs)
    with torch.no_grad():
        for name in ("q1", "k1", "q2", "k2"):
            getattr(ours, f"lam_{name}").copy_(getattr(theirs, f"lambda_{name}"))
        ours.pair_norm.weight.fill_(1.0)  # they have no gain
    x = noise(2, T, D)
    wanted, _ = theirs(x, cos_sin(K), None)
    # Their lambda is computed in float32.
    torch.testing.assert_close(ours(x, turning(K)), wanted, rtol=0, atol=1e-6)


@torch.no_grad()
def test_formula_by_hand_on_one_pair() -> None:
    layer = made(Differential, n_heads=2, n_kv_heads=2)
    k = layer.head_dim
    layer.configure_layer(LayerInfo(layer=2, n_layers=3))
    q, keys, v = (noise(1, 2, T, k, seed=seed) for seed in range(3))
    hidden = torch.ones(T, T).triu(1).bool()
    first, second = (
        (q[0, i] @ keys[0, i].T / math.sqrt(k)).masked_fill(hidden, -torch.inf).softmax(-1)
        for i in range(2)
    )
    start = 0.8 - 0.6 * math.exp(-0.6)
    lam = math.exp(layer.lam_q1 @ layer.lam_k1) - math.exp(layer.lam_q2 @ layer.lam_k2) + start
    y = (first - lam * second) @ torch.cat((v[0, 0], v[0, 1]), dim=-1)
    y = y / (y.square().mean(-1, keepdim=True) + 1e-5).sqrt() * layer.pair_norm.weight
    found = layer.attend(q, keys, v, turning(k))
    torch.testing.assert_close(found[0, 0], (1 - start) * y, rtol=0, atol=1e-12)


def test_the_first_lambda_grows_with_the_layer() -> None:
    model: Any = tiny("attention=differential", "model.n_layers=3")
    found = [block.attention.lam_init for block in model.decoder.blocks]
    assert found == pytest.approx([0.2, 0.355509, 0.470713], abs=1e-6)


def test_vectors_of_lambda_are_drawn_from_the_seed_with_a_tenth() -> None:
    model: Any = tiny("attention=differential", "attention.head_dim=2000")
    drawn = [
        getattr(block.attention, f"lam_{name}").detach()
        for block in model.decoder.blocks
        for name in ("q1", "k1", "q2", "k2")
    ]
    assert all(abs(float(vector.std()) - 0.1) < 0.01 for vector in drawn)
    assert len({float(vector[0]) for vector in drawn}) == 8


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"n_heads": 3, "n_kv_heads": 3}, r"attention\.n_heads=3 must be even .*; nearest 4"),
        ({"n_heads": 4, "n_kv_heads": 1}, r"attention\.n_kv_heads=1 must be even .*; nearest 2"),
    ],
)
def test_heads_that_are_no_pairs_are_refused(options: dict[str, int], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        Differential(D, kernel=Eager(), qk_norm=NoNorm, **options)


def test_layers_that_share_a_block_are_refused() -> None:
    line = (
        "attention=differential differs between layers, and one block computes several; "
        "use layer_sharing=none"
    )
    with pytest.raises(ValueError, match=f"^{line}$"):
        tiny("attention=differential", "layer_sharing=looped")


def test_flops_count_values_of_twice_the_width() -> None:
    assert made(Differential).flops(10.0) == 2 * H * (K + 2 * K) * 10.0


@KERNELS
def test_contract_with_other_options(kernel: Kernel) -> None:
    check_attention(
        partial(Differential, kernel=kernel, qk_norm=RMSNorm, n_kv_heads=2, head_dim=3, scale=0.7)
    )

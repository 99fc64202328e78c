"""kernel=eager: the formula in a loop over queries; what holds of all is in test_kernels.py."""

from __future__ import annotations

import torch

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import ScoreMods
from lightning_transformer.nn.attention.kernels.eager import Eager
from tests.conftest import noise


def test_softcap_comes_before_the_bias() -> None:
    q, k, v = (noise(1, 1, 3, 2, seed=seed) for seed in range(3))
    bias = noise(1, 3, 3, seed=3)
    y = Eager()(q, k, v, AttentionContext(bias=bias), 0.0, ScoreMods(softcap=0.5))
    scores = 0.5 * torch.tanh(q[0, 0] @ k[0, 0].T / 2**0.5 / 0.5) + bias[0]
    wanted = scores.softmax(-1) @ v[0, 0]
    torch.testing.assert_close(y[0, 0], wanted, rtol=0, atol=1e-12)


def test_weights_are_mixed_after_the_softmax() -> None:
    q, k, v = (noise(1, 2, 3, 2, seed=seed) for seed in range(3))
    mods = ScoreMods(mix_weights=lambda w: w.flip(1))  # exchanges the two heads
    y = Eager()(q, k, v, AttentionContext(), 0.0, mods)
    weights = (q @ k.mT / 2**0.5).softmax(-1)
    torch.testing.assert_close(y, weights.flip(1) @ v, rtol=0, atol=1e-12)


def test_it_computes_all_modifications() -> None:
    assert Eager.supports == {"mix_scores", "softcap", "sinks", "mix_weights"}

"""What the measured claims rest on, at a small size."""

from __future__ import annotations

import pytest
import torch

from benchmarks.measured.activation_variance import variances
from benchmarks.measured.attention_cost import context_of, inputs, kept_bytes
from benchmarks.measured.bytes_per_parameter import bytes_of
from benchmarks.measured.clipping_and_accumulation import differences
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA


@pytest.mark.parametrize(
    ("optimizer", "state"), [("adamw", 8.0), ("adam", 8.0), ("sgd", 4.0), ("lion", 4.0)]
)
def test_sixteen_bytes_per_parameter(optimizer, state):
    weights, gradients, kept = bytes_of(optimizer, torch.float32, d_model=64)
    assert (weights, gradients) == (4.0, 4.0)
    assert kept == pytest.approx(state, abs=0.01)  # and a few counters


def test_accumulated_gradients_are_those_of_the_batch_and_a_mean_of_means_is_not():
    found = differences()
    assert found["rows of one length, over all targets"] < 1e-14
    assert found["rows of different length, over all targets"] < 1e-14
    assert found["rows of different length, mean of means"] > 0.1
    assert found["clipping at half the norm, against torch's own"] < 1e-14


def test_variance_grows_with_depth_unless_norms_stop_it():
    free = variances("xavier", "no norm", n_layers=12, d_model=64)
    before = variances("xavier", "pre-norm", n_layers=12, d_model=64)
    after = variances("xavier", "post-norm", n_layers=12, d_model=64)
    assert free[-1] > 10 * free[0]
    assert before[0] < before[-1] < free[-1]
    assert after[-1] == pytest.approx(1.0, abs=0.05)


def test_what_attention_keeps_grows_with_the_square_only_without_the_fused_kernel():
    assert kept_bytes("naive", 512) / kept_bytes("naive", 256) == pytest.approx(4, rel=0.1)
    assert kept_bytes("fused", 512) / kept_bytes("fused", 256) == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("kind", ["naive", "fused"])
def test_the_kernels_that_are_timed_compute_the_same(kind):
    q, k, v = inputs(64)
    ours = (Eager() if kind == "naive" else SDPA())(q, k, v, context_of(kind, 64), 0.0)
    full = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(ours, full, rtol=1e-5, atol=1e-5)

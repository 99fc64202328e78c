"""Vectors that move by more than a step."""

import pytest
import torch

from lightning_transformer.nn.scaled_vector import ScaledVector


def test_it_starts_at_start_whatever_the_scale() -> None:
    for scale in (0.01, 1.0, 30.0):
        torch.testing.assert_close(
            ScaledVector(3, start=0.05, scale=scale)(), torch.full((3,), 0.05)
        )


def test_a_step_of_the_weight_is_start_over_scale_of_the_vector() -> None:
    vector = ScaledVector(2, start=0.05, scale=0.125).double()
    assert vector.weight.tolist() == [0.125, 0.125]
    with torch.no_grad():
        vector.weight += 0.01
    assert vector().tolist() == pytest.approx([0.054, 0.054], rel=1e-7)

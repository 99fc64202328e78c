"""Sums of numbers on a device, against float64 loops."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_transformer.tasks.metrics.exact_sum import exact_sum, parts_of


def test_a_long_sum_is_that_of_a_float64_loop_and_not_of_float32() -> None:
    """Losses of micro-batches, around 1e4 nats each."""
    numbers = 1e4 * torch.rand(30_000, generator=torch.Generator().manual_seed(0))
    wanted, rough = 0.0, torch.zeros(())
    for number in numbers:
        wanted += number.item()
        rough += number
    assert exact_sum([parts_of(number) for number in numbers]) == pytest.approx(wanted, rel=1e-14)
    assert abs(rough.item() - wanted) > 1e-7 * wanted


@pytest.mark.parametrize(
    "number",
    [
        torch.tensor(math.pi, dtype=torch.float64),
        torch.tensor(2**30 + 1),
        torch.tensor(-7),
        torch.tensor(0.1),
        torch.tensor(0.1, dtype=torch.bfloat16),
        torch.tensor(1e-30, dtype=torch.float64),
    ],
)
def test_a_number_is_kept_to_48_bits(number: torch.Tensor) -> None:
    parts = parts_of(number)
    assert (parts.dtype, parts.ndim) == (torch.float32, 1)
    assert exact_sum([parts]) == pytest.approx(number.item(), rel=2**-48)


def test_what_is_not_finite_stays_so() -> None:
    def total(*numbers: float) -> float:
        return exact_sum([parts_of(torch.tensor(n, dtype=torch.float64)) for n in numbers])

    assert total(1.0, math.inf) == math.inf
    assert total(1.0, 1e300) == math.inf  # beyond float32
    assert math.isnan(total(1.0, math.nan))
    assert math.isnan(total(math.inf, -math.inf))


def test_nothing_is_zero() -> None:
    assert exact_sum([]) == 0.0

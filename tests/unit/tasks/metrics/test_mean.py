"""The mean over many batches."""

import math

import pytest
import torch

from lightning_transformer.tasks.metrics.mean import Mean


def test_sums_and_counts_of_batches_of_different_size() -> None:
    mean = Mean()
    mean.update(torch.tensor(6.0), torch.tensor(3))
    mean.update(torch.tensor(1.0), torch.tensor(1))
    assert float(mean.compute()) == 7 / 4


def test_a_million_small_numbers_are_not_lost_beside_a_large_one() -> None:
    mean = Mean().to("cpu")  # torchmetrics' own mean rounds to float32 from here on
    mean.update(torch.tensor(2.0**24, dtype=torch.float64), torch.tensor(1))
    for _ in range(100):
        mean.update(torch.tensor(0.1, dtype=torch.float64), torch.tensor(1))
    assert float(mean.compute()) == pytest.approx((2**24 + 10) / 101, rel=1e-14)


def test_its_state_is_of_float32_and_whole_numbers() -> None:
    """Which every device has; processes send it to each other, all of one kind and dimension."""
    mean = Mean()
    for total in (torch.tensor(0.1, dtype=torch.float64), torch.tensor(3), 2.5, torch.tensor(0.5)):
        mean.update(total, torch.tensor(1))
    assert {(part.dtype, part.ndim) for part in mean.totals} == {(torch.float32, 1)}
    assert mean.count.dtype == torch.int64
    assert float(mean.compute()) == pytest.approx(6.1 / 4, rel=1e-14)


def test_what_is_not_a_number_is_not_hidden() -> None:
    mean = Mean()
    mean.update(torch.tensor(1.0), torch.tensor(1))
    mean.update(torch.tensor(float("nan")), torch.tensor(1))
    assert math.isnan(float(mean.compute()))


def test_nothing_has_no_mean() -> None:
    mean = Mean()
    mean.update(torch.tensor(0.0), torch.tensor(0))
    assert math.isnan(float(mean.compute()))


def test_reset() -> None:
    mean = Mean()
    mean.update(torch.tensor(6.0), torch.tensor(3))
    mean.reset()
    mean.update(torch.tensor(1.0), torch.tensor(1))
    assert float(mean.compute()) == 1.0

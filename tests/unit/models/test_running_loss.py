"""The training loss between two logs: exact, taken once, and without a wait at any step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lightning_transformer.models.running_loss import RunningLoss


def test_it_is_the_sum_of_a_float64_loop_over_a_long_interval() -> None:
    running, wanted, n_targets = RunningLoss(), 0.0, 0
    draw = torch.Generator().manual_seed(0)
    for step in range(5000):
        nll, n = 1e4 * torch.rand((), generator=draw), torch.tensor(2**20 + step)
        running.add(nll, n)
        wanted, n_targets = wanted + nll.item(), n_targets + n.item()
    found, count = running.take()
    assert found == pytest.approx(wanted, rel=1e-14)
    assert count == n_targets > 2**32
    assert running.take() == (0.0, 0)


def test_no_step_reads_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    running = RunningLoss()
    with monkeypatch.context() as patch:
        for name in ("item", "tolist", "cpu", "__float__", "__int__", "__bool__"):
            patch.setattr(Tensor, name, lambda *_: pytest.fail("the host waits"))
        for _ in range(1000):
            running.add(torch.tensor(1.5), torch.tensor(2))
    assert running.take() == (1500.0, 2000)


def test_what_it_was_given_does_not_change() -> None:
    running, n = RunningLoss(), torch.tensor(2)
    running.add(torch.tensor(1.0), n)
    running.add(torch.tensor(1.0), n)
    assert int(n) == 2

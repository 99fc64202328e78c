"""policy=rloo."""

from __future__ import annotations

import pytest
import torch

from lightning_transformer.tasks.policies.rloo import LeaveOneOut
from tests.unit.tasks.policies.test_base import GAIN, NOW, REWARDS, SCORED, THEN


def test_the_others_are_the_baseline() -> None:
    found = LeaveOneOut().advantages(REWARDS)
    rows = REWARDS.tolist()
    by_hand = [[r - (sum(row) - r) / (len(row) - 1) for r in row] for row in rows]
    torch.testing.assert_close(found, torch.tensor(by_hand, dtype=torch.float64))
    assert found[0].tolist() == pytest.approx([0.6667, -0.6667, -0.6667, 0.6667], abs=5e-5)
    assert found[1].tolist() == pytest.approx([-0.3333, -0.3333, -0.3333, 1.0], abs=5e-5)


def test_the_loss_is_a_sum_over_tokens() -> None:
    assert LeaveOneOut().losses(NOW, THEN, GAIN, SCORED).tolist() == pytest.approx([6.0, -0.5])

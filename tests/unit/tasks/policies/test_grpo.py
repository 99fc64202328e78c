"""policy=grpo; its advantages by hand are in test_base."""

from __future__ import annotations

import pytest
import torch

from lightning_transformer.tasks.policies.grpo import GroupRelative
from tests.unit.tasks.policies.test_base import GAIN, NOW, REWARDS, SCORED


def test_the_gradient_is_that_of_the_mean_log_probability() -> None:
    now = NOW.clone().requires_grad_()
    losses = GroupRelative().losses(now, now.detach(), GAIN, SCORED)
    assert losses.tolist() == pytest.approx([-2.0, 1.0])  # each ratio is 1
    losses.sum().backward()
    wanted = [[-1.0, -1.0, 0.0], [0.0, 1.0, 0.0]]  # -A / length
    torch.testing.assert_close(now.grad, torch.tensor(wanted, dtype=torch.float64))


def test_advantages_are_scores_of_the_group() -> None:
    found = GroupRelative().advantages(REWARDS)
    assert found[0].tolist() == pytest.approx([0.86588, -0.86588, -0.86588, 0.86588], abs=5e-6)
    assert found[1].tolist() == pytest.approx([-0.4999] * 3 + [1.4997], abs=5e-5)

"""policy=dr_grpo."""

from __future__ import annotations

import torch

from lightning_transformer.tasks.policies.dr_grpo import UnscaledGroupRelative
from lightning_transformer.tasks.policies.rloo import LeaveOneOut
from tests.unit.tasks.policies.test_base import NOW, REWARDS, SCORED


def test_its_gradient_is_three_quarters_of_that_of_four_left_out() -> None:
    def gradient(policy: UnscaledGroupRelative | LeaveOneOut) -> torch.Tensor:
        now = NOW.clone().requires_grad_()
        gain = policy.advantages(REWARDS).flatten()[:2]
        policy.losses(now, now.detach(), gain, SCORED).sum().backward()
        assert now.grad is not None
        return now.grad * SCORED

    torch.testing.assert_close(
        gradient(UnscaledGroupRelative()), gradient(LeaveOneOut()) * 3 / 4, rtol=1e-12, atol=0
    )


def test_advantages_are_not_scaled() -> None:
    assert UnscaledGroupRelative().advantages(REWARDS)[1].tolist() == [-0.25, -0.25, -0.25, 0.75]

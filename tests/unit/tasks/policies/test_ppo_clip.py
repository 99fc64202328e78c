"""policy=ppo_clip."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_transformer.tasks.policies.grpo import GroupRelative
from lightning_transformer.tasks.policies.ppo_clip import ClippedRatio
from tests.unit.tasks.policies.test_base import GAIN, NOW, REWARDS, SCORED, THEN


def test_the_loss_by_hand() -> None:
    losses = ClippedRatio(clip=0.2).losses(NOW, THEN, GAIN, SCORED)
    first = (min(math.exp(0.5), 1.2) + math.exp(-0.1)) / 2 * 2.0
    second = -max(math.exp(-0.25), 0.8)  # A < 0: the clipped one is the lesser
    assert losses.tolist() == pytest.approx([-first, -second])


def test_a_ratio_out_of_reach_has_no_gradient() -> None:
    now = NOW.clone().requires_grad_()
    ClippedRatio(clip=0.2).losses(now, THEN, GAIN, SCORED).sum().backward()
    assert now.grad is not None
    assert float(now.grad[0, 0]) == 0.0  # raised by more than 20 % already
    assert float(now.grad[0, 1]) == pytest.approx(-math.exp(-0.1))
    assert float(now.grad[1, 1]) == 0.0  # lowered by more than 20 %


def test_its_first_update_is_that_of_grpo() -> None:
    policy = ClippedRatio()
    assert torch.equal(policy.advantages(REWARDS), GroupRelative().advantages(REWARDS))
    same = (NOW, NOW, GAIN, SCORED)
    assert torch.equal(policy.losses(*same), GroupRelative().losses(*same))
    assert policy.n_updates == 2


@pytest.mark.parametrize("options", [{"clip": 0.0}, {"clip": 1.0}, {"n_updates": 0}])
def test_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))}=.* must be .*, for example"):
        ClippedRatio(**options)  # type: ignore[arg-type]

"""policy=rejection."""

from __future__ import annotations

import torch

from lightning_transformer.tasks.policies.rejection import Rejection
from tests.unit.tasks.policies.test_base import NOW, REWARDS, SCORED, THEN


def test_right_answers_are_learned_by_their_mean_and_wrong_ones_not_at_all() -> None:
    policy = Rejection()
    assert policy.advantages(REWARDS).tolist() == REWARDS.tolist()
    losses = policy.losses(NOW, THEN, torch.tensor([1.0, 0.0]).double(), SCORED)
    assert losses.tolist() == [1.5, 0.0]
    assert not policy.compares


def test_a_threshold_says_what_is_right() -> None:
    graded = torch.tensor([[0.2, 0.5, 0.9]])
    assert Rejection(threshold=0.5).advantages(graded).tolist() == [[0.0, 1.0, 1.0]]

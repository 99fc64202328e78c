"""reward=length: answers of a certain length."""

from collections.abc import Sequence

import torch

from lightning_transformer.nn import checks
from lightning_transformer.tasks.rewards.base import Answer, RewardFunction


class TargetLength(RewardFunction):
    """max(0, 1 - |n - target| / target) for a text of n characters, in [0, 1].

    target: characters, >= 1. Raises ValueError for one below.
    """

    def __init__(self, *, target: int = 20) -> None:
        checks.at_least("target", target, 1, 20)
        self.target = target

    def __call__(self, answers: Sequence[Answer], device: torch.device) -> list[float]:
        far = (abs(len(answer.text) - self.target) / self.target for answer in answers)
        return [max(0.0, 1 - share) for share in far]

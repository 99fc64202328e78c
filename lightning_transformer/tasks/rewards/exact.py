"""reward=exact: the answer of the data, and nothing else."""

from collections.abc import Sequence

import torch

from lightning_transformer.tasks.rewards.base import Answer, RewardFunction


class ExactAnswer(RewardFunction):
    """1 where the model wrote the text of the data's answer and ended there, else 0."""

    def __call__(self, answers: Sequence[Answer], device: torch.device) -> list[float]:
        return [float(a.ended and a.text == a.expected) for a in answers]

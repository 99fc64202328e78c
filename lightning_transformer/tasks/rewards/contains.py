"""reward=contains: the answer of the data, anywhere in what is written."""

from collections.abc import Sequence

import torch

from lightning_transformer.tasks.rewards.base import Answer, RewardFunction


class ContainsAnswer(RewardFunction):
    """1 where the data's answer, without white space around it, stands in the text, else 0.

    A text that lists many answers is rewarded too.
    """

    def __call__(self, answers: Sequence[Answer], device: torch.device) -> list[float]:
        return [float(a.expected.strip() in a.text) for a in answers]

"""The contract of rewards."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

LoadRun = Callable[[Path], Any]  # a run folder -> its trained model; ValueError in one line


class Answer(NamedTuple):
    """An answer that a model wrote behind a prompt.

    expected: the answer of the data. ended: whether the model ended it, rather than the limit of
    its length. seed: of random numbers about this answer; equal seeds only for the same answer.
    """

    prompt: str
    text: str
    expected: str
    ended: bool
    seed: int


class RewardFunction:
    """Says how good answers are, a number each; more is better, and the unit is its own."""

    def __call__(self, answers: Sequence[Answer], device: torch.device) -> list[float]:
        """The reward of each answer. device: that of the model, where much is to be computed."""
        raise NotImplementedError

    def connect(self, load: LoadRun) -> None:
        """Learn how the folder of a trained run becomes its model; most rewards need none."""

    def check(self) -> None:
        """Refuse what the reward needs and cannot have; ValueError in one line. Before training."""

"""Answers for the tests of rewards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lightning_transformer.tasks.rewards.base import Answer


def rewards_of(
    reward: Any, texts: Sequence[str], expected: str = "", *, ended: bool = True
) -> list[float]:
    """The rewards of texts behind the prompt "Q: "."""
    answers = [Answer("Q: ", text, expected, ended, seed) for seed, text in enumerate(texts)]
    found: list[float] = reward(answers, torch.device("cpu"))
    assert len(found) == len(texts)
    return found

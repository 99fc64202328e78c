"""reward=random: the placebo, by which other rewards are judged."""

from collections.abc import Sequence

import torch

from lightning_transformer.nn import checks
from lightning_transformer.nn.seeds import seed_of
from lightning_transformer.tasks.rewards.base import Answer, RewardFunction

DIGITS = 2.0**56  # seed_of gives numbers below it


class CoinFlip(RewardFunction):
    """1 with a fixed chance, else 0, whatever the answer is; a function of the answer's seed.

    What a run with it gains or loses comes from training on its own answers, not from a reward.

    chance: of a reward of 1, [0, 1]. Raises ValueError for a value outside.
    """

    def __init__(self, *, chance: float = 0.5) -> None:
        checks.closed_fraction("chance", chance, 0.5)
        self.chance = chance

    def __call__(self, answers: Sequence[Answer], device: torch.device) -> list[float]:
        return [float(seed_of(f"reward {a.seed}") / DIGITS < self.chance) for a in answers]

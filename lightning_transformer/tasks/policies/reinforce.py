"""policy=reinforce (Williams 1992)."""

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.tasks.policies.base import Policy


class Reinforce(Policy):
    """-(r - baseline) sum_t log p(y_t): each answer by its own reward.

    baseline: subtracted from every reward, a constant; answers with a reward below it become less
    likely. Raises ValueError where it is not finite.
    """

    compares = False

    def __init__(self, *, baseline: float = 0.0) -> None:
        checks.number_from("baseline", baseline, -1e9, 0.0)
        self.baseline = baseline

    def advantages(self, rewards: Tensor) -> Tensor:
        return rewards - self.baseline

    def losses(self, now: Tensor, then: Tensor, advantages: Tensor, scored: Tensor) -> Tensor:
        return -advantages * now.sum(dim=1)

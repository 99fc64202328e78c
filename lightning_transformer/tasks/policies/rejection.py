"""policy=rejection (Yuan et al. 2023; Dong et al. 2023, RAFT)."""

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.tasks.policies.base import Policy, token_mean


class Rejection(Policy):
    """-mean_t log p(y_t) of the answers whose reward reaches the threshold; others count nothing.

    What supervised learning on the model's own right answers does. threshold: least reward of an
    answer that is learned from.
    Raises ValueError where it is not finite.
    """

    compares = False

    def __init__(self, *, threshold: float = 1.0) -> None:
        checks.number_from("threshold", threshold, -1e9, 1.0)
        self.threshold = threshold

    def advantages(self, rewards: Tensor) -> Tensor:
        return (rewards >= self.threshold).to(rewards.dtype)

    def losses(self, now: Tensor, then: Tensor, advantages: Tensor, scored: Tensor) -> Tensor:
        return -advantages * token_mean(now, scored)

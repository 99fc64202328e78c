"""policy=rloo (Kool et al. 2019; Ahmadian et al. 2024)."""

from torch import Tensor

from lightning_transformer.tasks.policies.base import Policy


class LeaveOneOut(Policy):
    """REINFORCE with the mean reward of the other answers to the prompt as its baseline.

    A_i = r_i - 1 / (G - 1) sum_{j != i} r_j; the loss is -A sum_t log p(y_t).
    """

    def advantages(self, rewards: Tensor) -> Tensor:
        n = rewards.shape[1]
        return (rewards - rewards.mean(dim=1, keepdim=True)) * (n / (n - 1))

    def losses(self, now: Tensor, then: Tensor, advantages: Tensor, scored: Tensor) -> Tensor:
        return -advantages * now.sum(dim=1)

"""policy=dr_grpo (Liu et al. 2025, Dr. GRPO)."""

from torch import Tensor

from lightning_transformer.tasks.policies.base import Policy


class UnscaledGroupRelative(Policy):
    """GRPO without its two divisors, that of the deviation and that of an answer's length.

    A = r - mean over the answers to a prompt; the loss is -A sum_t rho_t. The paper divides the sum
    by a constant, which only scales it. Where each answer serves one update, that is (G - 1) / G
    times the gradient of policy=rloo.
    """

    def advantages(self, rewards: Tensor) -> Tensor:
        return rewards - rewards.mean(dim=1, keepdim=True)

    def losses(self, now: Tensor, then: Tensor, advantages: Tensor, scored: Tensor) -> Tensor:
        return -advantages * ((now - then).exp() * scored).sum(dim=1)

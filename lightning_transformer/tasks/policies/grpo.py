"""policy=grpo (Shao et al. 2024, DeepSeekMath)."""

from torch import Tensor

from lightning_transformer.tasks.policies.base import Policy, group_scores, token_mean


class GroupRelative(Policy):
    """Rewards in standard deviations of their group; the mean over the tokens of an answer.

    A = (r - mean) / (std + 1e-4) over the answers to a prompt, std with G - 1; the loss is
    -A mean_t rho_t with rho_t = p(y_t) / p_then(y_t), which is 1 and has the gradient of log p, as
    each answer serves one update. With several updates and rho clipped: policy=ppo_clip.
    """

    def advantages(self, rewards: Tensor) -> Tensor:
        return group_scores(rewards)

    def losses(self, now: Tensor, then: Tensor, advantages: Tensor, scored: Tensor) -> Tensor:
        return -advantages * token_mean((now - then).exp(), scored)

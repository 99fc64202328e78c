"""policy=ppo_clip (Schulman et al. 2017, with the advantages of GRPO for those of a critic)."""

import torch
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.tasks.policies.base import Policy, group_scores, token_mean


class ClippedRatio(Policy):
    """Several updates from the same answers, none of which may move a token's chance too far.

    -mean_t min(rho_t A, clip(rho_t, 1 - clip, 1 + clip) A), rho_t = p(y_t) / p_then(y_t), with
    A as in policy=grpo.

    clip: farthest that a ratio counts from 1, in (0, 1). n_updates: optimizer steps per batch of
    answers, >= 1; each of them is a step of the run.
    Raises ValueError for values outside their range.
    """

    def __init__(self, *, clip: float = 0.2, n_updates: int = 2) -> None:
        checks.positive("clip", clip, 0.2)
        checks.fraction("clip", clip, 0.2)
        checks.at_least("n_updates", n_updates, 1, 2)
        self.clip, self.n_updates = clip, n_updates

    def advantages(self, rewards: Tensor) -> Tensor:
        return group_scores(rewards)

    def losses(self, now: Tensor, then: Tensor, advantages: Tensor, scored: Tensor) -> Tensor:
        ratio = (now - then).exp()
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        gain = advantages[:, None]
        return -token_mean(torch.minimum(ratio * gain, clipped * gain), scored)

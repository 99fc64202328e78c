"""preference=dpo: direct preference optimisation (Rafailov et al. 2023)."""

import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.preference.base import AnswerPairs, PreferenceLoss


class DPO(PreferenceLoss):
    """-log sigmoid(beta (log p(c) / q(c) - log p(r) / q(r))), q being the reference.

    Twice the distance from the reference at half of beta has the same loss: a larger beta keeps the
    model closer to where it started.
    beta: > 0.
    """

    needs_reference = True

    def __init__(self, *, beta: float = 0.1) -> None:
        checks.positive("beta", beta, 0.1)
        self.beta = beta

    def __call__(self, pairs: AnswerPairs) -> Tensor:
        chosen, rejected = pairs.log_ratios()
        return -F.logsigmoid(self.beta * (chosen - rejected))

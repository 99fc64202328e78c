"""preference=dpo_nll: dpo beside the likelihood of the chosen answer (Pang et al. 2024)."""

import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.preference.base import AnswerPairs, PreferenceLoss


class DPOWithNLL(PreferenceLoss):
    """DPO's loss + nll_weight * -log p(c) / |c|, which keeps the chosen answer likely.

    beta, nll_weight: > 0.
    """

    needs_reference = True

    def __init__(self, *, beta: float = 0.1, nll_weight: float = 1.0) -> None:
        checks.positive("beta", beta, 0.1)
        checks.positive("nll_weight", nll_weight, 1.0)
        self.beta, self.nll_weight = beta, nll_weight

    def __call__(self, pairs: AnswerPairs) -> Tensor:
        chosen, rejected = pairs.log_ratios()
        return self.nll_weight * pairs.nll() - F.logsigmoid(self.beta * (chosen - rejected))

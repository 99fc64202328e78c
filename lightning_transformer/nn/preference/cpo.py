"""preference=cpo: contrastive preference optimisation (Xu et al. 2024)."""

import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.preference.base import AnswerPairs, PreferenceLoss


class CPO(PreferenceLoss):
    """-log sigmoid(beta (log p(c) - log p(r))) + nll_weight * -log p(c) / |c|; no reference.

    beta, nll_weight: > 0.
    """

    needs_reference = False

    def __init__(self, *, beta: float = 0.1, nll_weight: float = 1.0) -> None:
        checks.positive("beta", beta, 0.1)
        checks.positive("nll_weight", nll_weight, 1.0)
        self.beta, self.nll_weight = beta, nll_weight

    def __call__(self, pairs: AnswerPairs) -> Tensor:
        compared = F.logsigmoid(self.beta * (pairs.chosen - pairs.rejected))
        return self.nll_weight * pairs.nll() - compared

"""preference=simpo: simple preference optimisation (Meng et al. 2024)."""

import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.preference.base import AnswerPairs, PreferenceLoss


class SimPO(PreferenceLoss):
    """-log sigmoid(beta (log p(c) / |c| - log p(r) / |r|) - gamma), without a reference.

    gamma is the margin itself; the paper's ratio is gamma / beta. beta: > 0. gamma: >= 0.
    """

    needs_reference = False

    def __init__(self, *, beta: float = 2.0, gamma: float = 0.5) -> None:
        checks.positive("beta", beta, 2.0)
        checks.non_negative("gamma", gamma, 0.5)
        self.beta, self.gamma = beta, gamma

    def __call__(self, pairs: AnswerPairs) -> Tensor:
        chosen, rejected = pairs.token_means()
        return -F.logsigmoid(self.beta * (chosen - rejected) - self.gamma)

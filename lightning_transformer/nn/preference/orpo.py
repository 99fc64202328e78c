"""preference=orpo: odds ratio preference optimisation (Hong et al. 2024)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.preference.base import AnswerPairs, PreferenceLoss


class ORPO(PreferenceLoss):
    """-log p(c) / |c| - beta log sigmoid(log odds(c) - log odds(r)), without a reference.

    odds(y) = P / (1 - P), P = exp(log p(y) / |y|). log P is at most -1e-6 in it: the odds of an
    answer that is certain are infinite, and their gradient is none. beta: > 0.
    """

    needs_reference = False

    def __init__(self, *, beta: float = 0.1) -> None:
        checks.positive("beta", beta, 0.1)
        self.beta = beta

    def __call__(self, pairs: AnswerPairs) -> Tensor:
        chosen, rejected = map(_log_odds, pairs.token_means())
        return pairs.nll() - self.beta * F.logsigmoid(chosen - rejected)


def _log_odds(log_p: Tensor) -> Tensor:
    log_p = log_p.clamp(max=-1e-6)
    return log_p - torch.log(-torch.expm1(log_p))

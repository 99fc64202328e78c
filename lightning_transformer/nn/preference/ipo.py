"""preference=ipo: identity preference optimisation (Azar et al. 2024)."""

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.preference.base import AnswerPairs, PreferenceLoss


class IPO(PreferenceLoss):
    """(m - 1 / (2 beta))^2, m = log p(c) / q(c) / |c| - log p(r) / q(r) / |r|, q the reference.

    Means over tokens, without which long answers would overshoot the target. beta: > 0.
    """

    needs_reference = True

    def __init__(self, *, beta: float = 0.1) -> None:
        checks.positive("beta", beta, 0.1)
        self.beta = beta

    def __call__(self, pairs: AnswerPairs) -> Tensor:
        chosen, rejected = pairs.log_ratios()
        margin = chosen / pairs.n_chosen - rejected / pairs.n_rejected
        return (margin - 1 / (2 * self.beta)).square()

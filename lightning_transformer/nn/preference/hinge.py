"""preference=hinge: the hinge loss of sequence likelihoods (Zhao et al. 2023, SLiC-HF)."""

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.preference.base import AnswerPairs, PreferenceLoss


class PreferenceHinge(PreferenceLoss):
    """max(0, 1 - beta (log p(c) / q(c) - log p(r) / q(r))), q being the reference.

    A pair whose margin is reached teaches nothing more. The reference is that of DPO, as others
    have it; the paper has none. beta: > 0.
    """

    needs_reference = True

    def __init__(self, *, beta: float = 0.1) -> None:
        checks.positive("beta", beta, 0.1)
        self.beta = beta

    def __call__(self, pairs: AnswerPairs) -> Tensor:
        chosen, rejected = pairs.log_ratios()
        return (1 - self.beta * (chosen - rejected)).relu()

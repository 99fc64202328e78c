"""preference=kto: Kahneman-Tversky optimisation (Ethayarajh et al. 2024), of pairs."""

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.preference.base import AnswerPairs, PreferenceLoss


class KTO(PreferenceLoss):
    """Half of 1 - sigmoid(beta (l(c) - z)) + 1 - sigmoid(beta (z - l(r))), l = log p / q.

    q is the reference. Each answer is judged by itself against the point z. The paper estimates z
    as the divergence from the reference within a batch; here it is a constant, so that no pair
    changes the loss of another and a step may be cut in any way. beta: > 0. z: >= 0.
    """

    needs_reference = True

    def __init__(self, *, beta: float = 0.1, z: float = 0.0) -> None:
        checks.positive("beta", beta, 0.1)
        checks.non_negative("z", z, 0.0)
        self.beta, self.z = beta, z

    def __call__(self, pairs: AnswerPairs) -> Tensor:
        chosen, rejected = pairs.log_ratios()
        # 1 - sigmoid(x) = sigmoid(-x), without the loss of digits.
        good = (-self.beta * (chosen - self.z)).sigmoid()
        bad = (-self.beta * (self.z - rejected)).sigmoid()
        return (good + bad) / 2

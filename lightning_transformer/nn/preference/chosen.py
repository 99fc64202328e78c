"""preference=chosen: the likelihood of the chosen answer alone, to compare others with."""

from torch import Tensor

from lightning_transformer.nn.preference.base import AnswerPairs, PreferenceLoss


class ChosenNLL(PreferenceLoss):
    """-log p(c) / |c|, as fine-tuning on the better answers has it; the others are unused."""

    needs_reference = False

    def __call__(self, pairs: AnswerPairs) -> Tensor:
        return pairs.nll()

"""The contract of a preference loss: what it reads, and whether it needs a reference."""

from typing import ClassVar, NamedTuple

from torch import Tensor


class AnswerPairs(NamedTuple):
    """Two answers to each of B prompts: log p(answer | prompt), summed over an answer's tokens.

    chosen, rejected (B,) float32 or float64: by the model that is trained; reference_chosen,
    reference_rejected: by the one that it started as, None for losses without a reference.
    n_chosen, n_rejected (B,) long, >= 1: tokens of each answer, its end included.
    """

    chosen: Tensor
    rejected: Tensor
    n_chosen: Tensor
    n_rejected: Tensor
    reference_chosen: Tensor | None = None
    reference_rejected: Tensor | None = None

    def log_ratios(self) -> tuple[Tensor, Tensor]:
        """log p - log p_reference of the chosen and of the rejected answers, each (B,)."""
        assert self.reference_chosen is not None
        assert self.reference_rejected is not None
        return self.chosen - self.reference_chosen, self.rejected - self.reference_rejected

    def token_means(self) -> tuple[Tensor, Tensor]:
        """Mean log p of a token of the chosen and of the rejected answers, each (B,)."""
        return self.chosen / self.n_chosen, self.rejected / self.n_rejected

    def nll(self) -> Tensor:
        """(B,) nats per token of the chosen answers."""
        return -self.chosen / self.n_chosen


class PreferenceLoss:
    """Contract: the loss of each pair, by itself.

    needs_reference: whether it reads log-probabilities of the reference.
    """

    needs_reference: ClassVar[bool]

    def __call__(self, pairs: AnswerPairs) -> Tensor:
        """(B,) loss of each pair; no pair changes that of another."""
        raise NotImplementedError

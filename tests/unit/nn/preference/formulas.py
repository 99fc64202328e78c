"""The pair by which the losses of preferences are checked by hand."""

from __future__ import annotations

import torch

from lightning_transformer.nn.preference.base import AnswerPairs, PreferenceLoss


def pair(chosen: float = -2.0, rejected: float = -3.0, *, n: int = 4) -> AnswerPairs:
    """Log-probabilities of four tokens each; -2.5 of both answers by the reference."""
    logs = (torch.tensor([value], dtype=torch.float64) for value in (chosen, rejected, -2.5, -2.5))
    own, other, *reference = logs
    return AnswerPairs(own, other, torch.tensor([n]), torch.tensor([n]), *reference)


def value(loss: PreferenceLoss, pairs: AnswerPairs | None = None) -> float:
    """The loss of one pair, six digits behind the point; without the reference unless needed."""
    pairs = pair() if pairs is None else pairs
    if not loss.needs_reference:
        pairs = pairs._replace(reference_chosen=None, reference_rejected=None)
    (found,) = loss(pairs).tolist()
    return round(float(found), 6)

"""Scores of the next token: what no output holds is ruled out, what was there is penalised."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class NextScores:
    """Features (B, D) of rows -> scores (B, V), float32 at least, as `repetition_penalty` has them.

    A score z of a token that the row holds, prompt included, becomes z / penalty where it is
    positive and z * penalty elsewhere (Keskar et al. 2019); 1 = as it is. The end token is never
    penalised: texts would not end. Special tokens that no output holds get -inf in `allowed`.
    """

    def __init__(
        self, model: Any, rows: Sequence[np.ndarray], repetition_penalty: float = 1.0
    ) -> None:
        self.head, self.penalty = model.task.head, repetition_penalty
        self.mask = special_mask(model)
        self.eos_id = model.task.vocabulary.eos_id
        self.seen: Tensor | None = None
        if repetition_penalty != 1.0:
            self.seen = self.mask.new_zeros(len(rows), len(self.mask), dtype=torch.bool)
            if not model.has_source:  # a source is no part of what is written
                for seen, row in zip(self.seen, rows, strict=True):
                    seen[torch.from_numpy(np.asarray(row, dtype=np.int64)).to(seen.device)] = True

    def __call__(self, features: Tensor) -> Tensor:
        """Scores of all tokens."""
        scores = self.head(features)
        # Half precision has too few digits for a cumulative sum over a vocabulary.
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        assert isinstance(scores, Tensor)
        return scores

    def allowed(self, scores: Tensor) -> Tensor:
        """Scores, penalised, with -inf for what is not written."""
        return self.penalised(scores, self.seen) + self.mask

    def penalised(self, scores: Tensor, seen: Tensor | None) -> Tensor:
        """Scores (B, V) with the penalty where `seen` (B, V) is True."""
        if seen is None:
            return scores
        lowered = torch.where(scores > 0, scores / self.penalty, scores * self.penalty)
        lowered[:, self.eos_id] = scores[:, self.eos_id]
        return torch.where(seen, lowered, scores)

    def note(self, ids: Tensor) -> None:
        """Remember tokens (B,) that rows now hold."""
        if self.seen is not None:
            self.seen.scatter_(1, ids[:, None], True)

    def select(self, rows: Tensor) -> None:
        """Make row i what row rows[i], (n,) long, has been."""
        if self.seen is not None:
            self.seen = self.seen.index_select(0, rows)


def special_mask(model: Any) -> Tensor:
    """(V,) to add to the scores: -inf for special tokens that no output holds, else 0."""
    vocabulary = model.task.vocabulary
    mask = torch.zeros(vocabulary.size, device=model.device)
    mask[torch.from_numpy(vocabulary.special_ids)] = float("-inf")
    mask[vocabulary.eos_id] = 0.0
    if model.task.writes_marks:
        mask[torch.from_numpy(vocabulary.mark_ids)] = 0.0
    return mask

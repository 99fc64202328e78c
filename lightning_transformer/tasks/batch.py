"""A micro-batch, and rows of different length put together."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lightning_transformer.data.examples import Pair, Tokens
from lightning_transformer.tasks.metrics.row_losses import IGNORE

if TYPE_CHECKING:
    from lightning_transformer.tasks.rollouts import ProblemRows, Rollout


class Batch(NamedTuple):
    """One micro-batch. Rows are padded on the right.

    input_ids (B, T) long; labels (B, T) or (B,) long, -100 = no target; n_targets and step_targets
    0-d long: targets in this micro-batch, and in all micro-batches of the optimizer step on this
    rank; n_tokens: real tokens read, source included; padding (B, T) bool, True = pad, None = no
    pads; documents (B, T) long; source_* (B, S). document_ends (B, E) long: the place behind the
    last label of each document of an evaluated row, rows with fewer documents filled with T.
    unknown_bytes: mean bytes of text behind an unknown token of this split, None = not known.
    origins (B, 2) long: sentence and first token of rows that are windows of one, -1 of others.
    prefix (B,) long: tokens at the start of each row that see each other both ways; None = none.
    further_labels (B, T) long: of tokens that a metric beside the loss is about, -100 = no such.
    rests (B, K) long: what follows on a target in its reference, padded by -100; None = nothing.
    places (n,) long: where labels.flatten() has targets, None = all count or it is not known.
    responses (R, T) long: the tokens of responses, -100 elsewhere, where a response is scored as a
    whole; input_ids are their R rows, labels are of groups of these, and places are where
    responses.flatten() has tokens. reference (R,) float: log-probabilities by a reference model.
    problems: what answers are written to, and rollout: what is known of them; see `tasks.rollouts`.
    """

    input_ids: Tensor
    labels: Tensor
    n_targets: Tensor
    n_tokens: int
    step_targets: Tensor | None = None
    padding: Tensor | None = None
    documents: Tensor | None = None
    source_ids: Tensor | None = None
    source_padding: Tensor | None = None
    document_ends: Tensor | None = None
    origins: Tensor | None = None
    unknown_bytes: float | None = None
    further_labels: Tensor | None = None
    prefix: Tensor | None = None
    places: Tensor | None = None
    rests: Tensor | None = None
    responses: Tensor | None = None
    reference: Tensor | None = None
    problems: "ProblemRows | None" = None
    rollout: "Rollout | None" = None

    @classmethod
    def without_labels(cls, ids: Tensor) -> "Batch":
        """Rows (B, T) to predict from, without padding."""
        return cls(ids, torch.full_like(ids, IGNORE), ids.new_zeros(()), ids.numel())

    def to(self, device: torch.device) -> "Batch":
        """The same on a device; copies from pinned memory do not wait."""
        moved: list[Any] = [
            x.to(device, non_blocking=True) if isinstance(x, Tensor) else x for x in self
        ]
        return Batch(*moved)

    def in_rows(self, n_rows: int) -> Iterator[tuple[slice, "Batch"]]:
        """Parts of at most n_rows rows, and which these are; n_tokens stays that of the whole."""
        total = len(self.labels)
        if n_rows >= total:
            yield slice(None), self
            return
        for start in range(0, total, n_rows):
            rows = slice(start, start + n_rows)
            cut: list[Any] = [
                x[rows] if isinstance(x, Tensor) and x.ndim and len(x) == total else x for x in self
            ]
            part = Batch(*cut)
            yield rows, part._replace(n_targets=(part.labels != IGNORE).sum(), places=None)


def pad(rows: Sequence[np.ndarray], fill: int) -> Tensor:
    """Rows of different length -> (B, longest) long, filled on the right."""
    longest = max(len(row) for row in rows)
    out = np.full((len(rows), longest), fill, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return torch.from_numpy(out)


def pad_mask(rows: Sequence[np.ndarray]) -> Tensor | None:
    """(B, longest) bool, True = pad; None if all rows are equally long."""
    lengths = np.array([len(row) for row in rows])
    if (lengths == lengths.max()).all():
        return None
    return torch.from_numpy(np.arange(lengths.max()) >= lengths[:, None])


def target_places(labels: Tensor) -> Tensor | None:
    """`Batch.places` of labels; None also where there is no target, as some row has to be scored.

    Found where batches are made, as a device would have to be waited for.
    """
    places = (labels.flatten() != IGNORE).nonzero()[:, 0]
    return places if 0 < len(places) < labels.numel() else None


def target_labels(example: Pair, eos_id: int) -> np.ndarray:
    """Labels (n + 1,) y_1 .. y_n EOS of a pair, -100 for tokens that it does not score."""
    labels = np.append(example.target, eos_id)
    if example.scored is None:
        return labels
    return np.where(np.append(example.scored, True), labels, IGNORE)


def pad_rests(examples: Sequence[Pair]) -> Tensor | None:
    """`Batch.rests` of pairs."""
    rests = [np.empty(0, dtype=np.int64) if e.rest is None else e.rest for e in examples]
    return pad(rests, IGNORE) if any(map(len, rests)) else None


def document_ends(examples: Sequence[Tokens], n_labels: int) -> Tensor | None:
    """`Batch.document_ends` of rows with n_labels labels; None where they do not tell."""
    found = [example.ends for example in examples if example.ends is not None]
    if len(found) < len(examples):
        return None
    out = np.full((len(found), max(map(len, found)) + 1), n_labels, dtype=np.int64)
    for row, ends in zip(out, found, strict=True):
        row[: len(ends)] = np.minimum(ends, n_labels)
    return torch.from_numpy(out)

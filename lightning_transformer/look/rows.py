"""One row of a batch as the model gets it: what it reads, and what it is asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lightning_transformer.look.readable import Signs, readable
from lightning_transformer.tasks.base import Batch, Task
from lightning_transformer.tasks.metrics.row_losses import IGNORE
from lightning_transformer.tasks.token_task import TokenTask

SPECIAL, MASKED, TARGET, DIM = "magenta", "bold yellow", "green", "dim"


class TokenCell(NamedTuple):
    """The text of one token, and its style."""

    text: str
    style: str = ""
    counts: bool = True  # False: nothing is here, such as where there is no target


class Track(NamedTuple):
    """A line of cells, one for each place."""

    name: str
    cells: list[TokenCell]


@dataclass(frozen=True)
class Tracks:
    """Tracks of equal length whose cells belong to each other.

    borders: places in front of which a document begins. left_out: a line on what is not shown.
    """

    tracks: list[Track]
    borders: frozenset[int] = frozenset()
    left_out: str = ""


@dataclass(frozen=True)
class Row:
    """What is shown of one row: aligned tokens, and facts as (name, text)."""

    blocks: list[Tracks]
    facts: list[tuple[str, str]]
    n_tokens: int  # read, without padding
    n_targets: int


class Reader:
    """Makes rows of a task's batches readable. most: tokens that are shown of a side, 0 = all."""

    def __init__(self, task: Task, signs: Signs, most: int) -> None:
        self.task, self.vocabulary, self.signs, self.most = task, task.vocabulary, signs, most

    def rows(self, batch: Batch) -> Iterator[Row]:
        """The rows of a batch in their order."""
        for i in range(len(batch.input_ids)):
            yield self._row(batch, i)

    def _row(self, batch: Batch, i: int) -> Row:
        ids = batch.input_ids[i].numpy()
        # Where responses are scored as a whole, several rows make one label.
        labels = (batch.labels if batch.responses is None else batch.responses)[i].numpy()
        blocks, n_tokens = [], self._n_real(ids)
        if batch.source_ids is not None:
            source = batch.source_ids[i].numpy()
            n_tokens += self._n_real(source)
            blocks.append(self._block(source, [Track("source", self._tokens(source))], source))
        tracks, facts = [Track("reads", self._tokens(ids))], []
        if labels.shape == ids.shape:
            is_token = isinstance(self.task, TokenTask)
            tracks.append(Track("target" if is_token else "label", self._targets(labels)))
            facts += self._further()
        else:
            facts.append(("label", self._label(labels)))
        n_targets = int((labels != IGNORE).sum()) if labels.ndim else 1
        blocks.append(self._block(ids, tracks, labels, self._borders(batch, i)))
        return Row(blocks, facts, n_tokens, n_targets)

    def _n_real(self, ids: np.ndarray) -> int:
        return int((ids != self.vocabulary.pad_id).sum())

    def _tokens(self, ids: np.ndarray) -> list[TokenCell]:
        words = self.vocabulary
        texts = readable(ids, words, self.signs)
        return [TokenCell(text, self._style(int(n))) for text, n in zip(texts, ids, strict=True)]

    def _style(self, number: int) -> str:
        words = self.vocabulary
        if number < words.n_text:
            return ""
        return {words.pad_id: DIM, words.mask_id: MASKED, words.unk_id: "red"}.get(number, SPECIAL)

    def _targets(self, labels: np.ndarray) -> list[TokenCell]:
        """What is asked for at each place."""
        if isinstance(self.task, TokenTask):
            texts = readable(labels, self.vocabulary, self.signs)
        else:
            texts = [self._name(label) if label != IGNORE else "" for label in labels.tolist()]
        nothing = TokenCell(self.signs.ignored, DIM, counts=False)
        return [
            nothing if label == IGNORE else TokenCell(text, TARGET)
            for text, label in zip(texts, labels.tolist(), strict=True)
        ]

    def _name(self, label: Any) -> str:
        names = self.task.labels
        known = isinstance(label, int) and 0 <= label < len(names)
        return self.signs.show(names[label]) if known else f"{label:g}"

    def _label(self, labels: np.ndarray) -> str:
        """The label of a row: a class, a number, or all classes that it has."""
        if not labels.ndim:
            return self._name(labels.item())
        if labels.shape == (len(self.task.labels),):
            return ", ".join(self._name(int(n)) for n in np.flatnonzero(labels > 0)) or "none"
        return " ".join(f"{value:g}" for value in labels.flatten().tolist())

    def _further(self) -> list[tuple[str, str]]:
        n = self.task.head_uses - 1
        return [("", f"and the {n} tokens behind each target are targets too")] if n > 0 else []

    def _borders(self, batch: Batch, i: int) -> frozenset[int]:
        """Where documents begin within a row, as far as the batch tells."""
        if batch.documents is not None:
            found = batch.documents[i].numpy()
            return frozenset((1 + np.flatnonzero(found[1:] != found[:-1])).tolist())
        if batch.document_ends is not None:
            return frozenset(batch.document_ends[i].tolist()) - {0, batch.input_ids.shape[1]}
        return frozenset()

    def _block(
        self,
        ids: np.ndarray,
        tracks: Sequence[Track],
        labels: np.ndarray,
        borders: frozenset[int] = frozenset(),
    ) -> Tracks:
        """Tracks without the padding at their end, of which only the number is shown."""
        end = len(ids)
        while end and ids[end - 1] == self.vocabulary.pad_id:
            end -= 1
        shown = min(end, self.most or end)
        rest = []
        if shown < end:
            rest.append(f"{end - shown:,} more tokens")
            if labels is not ids and labels.shape == ids.shape:
                rest[-1] += f", {(labels[shown:end] != IGNORE).sum():,} with a target"
        if end < len(ids):
            rest.append(f"{len(ids) - end:,} x [PAD]")
        cut = [Track(track.name, track.cells[:shown]) for track in tracks]
        return Tracks(cut, frozenset(b for b in borders if b < shown), ", then ".join(rest))

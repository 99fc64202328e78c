"""What a split holds: examples, text behind its tokens, lengths, and the padding of its batches."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lightning_transformer.data.base import DataModule
from lightning_transformer.data.packing.rows import Rows
from lightning_transformer.data.split import Split
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.tasks.base import Batch, Task
from lightning_transformer.tasks.metrics.row_losses import IGNORE
from lightning_transformer.tasks.token_task import TokenTask

MOST_TOKENS = 2_000_000  # of a split whose text is looked at
MOST_EXAMPLES = 20_000  # likewise, spread evenly over it
MOST_BATCHES = 128  # whose padding is measured
SIDES = ("ids", "source", "target")  # fields of token ids


@dataclass
class TextCounts:
    """Words, bytes and unknown tokens behind some tokens; all = these are all of the split.

    n_seen counts ends of documents too, n_tokens does not.
    """

    all: bool = True
    n_seen: int = 0
    n_tokens: int = 0
    n_bytes: int = 0
    n_words: int = 0
    n_unknown: int = 0

    def add(self, ids: np.ndarray, vocabulary: Vocabulary, sizes: np.ndarray) -> None:
        """Add the ids (n,) of a text; special ones but the unknown are no part of it."""
        text = ids[(ids < vocabulary.n_text) | (ids == vocabulary.unk_id)].astype(np.int64)
        self.n_seen += len(ids)
        self.n_tokens += len(text)
        self.n_bytes += int(sizes[text].sum())
        self.n_unknown += int((text == vocabulary.unk_id).sum())
        self.n_words += len(vocabulary.decode(text).split())


@dataclass
class BatchCounts:
    """What batches hold: places, those that are no padding, targets, and how often each label."""

    n_batches: int = 0
    n_places: int = 0
    n_tokens: int = 0
    n_targets: int = 0
    labels: list[np.ndarray] = field(default_factory=list)

    def add(self, batch: Batch, task: Task) -> None:
        self.n_batches += 1
        self.n_places += batch.input_ids.numel()
        self.n_places += 0 if batch.source_ids is None else batch.source_ids.numel()
        self.n_tokens += batch.n_tokens
        self.n_targets += int(batch.n_targets)
        if not isinstance(task, TokenTask):
            found = batch.labels.numpy().reshape(-1)
            self.labels.append(found[found != IGNORE])

    @property
    def padding(self) -> float:
        """The share of places that hold no token."""
        return 1 - self.n_tokens / max(1, self.n_places)


@dataclass(frozen=True)
class SplitCounts:
    """All that is said of a split; lengths (n,) in tokens, of what `measured` names."""

    n_documents: int | None
    n_examples: int
    n_tokens: int
    text: TextCounts
    lengths: np.ndarray
    measured: str
    batches: BatchCounts

    @property
    def n_bytes(self) -> int:
        """UTF-8 bytes of text, from those looked at."""
        if self.text.all:
            return self.text.n_bytes
        return round(self.n_tokens * self.text.n_bytes / max(1, self.text.n_seen))


def count_split(data: DataModule, name: str, task: Task, batches: Iterable[Batch]) -> SplitCounts:
    """Count a split and the first of these batches of it."""
    split, found = data.splits[name], BatchCounts()
    for batch in itertools.islice(batches, MOST_BATCHES):
        found.add(batch, task)
    lengths, measured = _lengths(split)
    return SplitCounts(
        n_documents=_n_documents(split),
        n_examples=len(split),
        n_tokens=split.n_tokens,
        text=count_text(split, data.vocabulary),
        lengths=lengths,
        measured=measured,
        batches=found,
    )


def count_text(split: Split, vocabulary: Vocabulary) -> TextCounts:
    """Count the text of a split, or of a part of it where it is large."""
    found, sizes = TextCounts(), vocabulary.id_bytes
    if isinstance(split, Rows):
        found.all = len(split.tokens) <= MOST_TOKENS
        ids = np.asarray(split.tokens[:MOST_TOKENS])
        for document in np.split(ids, np.flatnonzero(ids == vocabulary.eos_id)):
            found.add(document, vocabulary, sizes)
        found.n_bytes += round(found.n_unknown * (split.unknown_bytes or 0))
        return found
    found.all = len(split) <= MOST_EXAMPLES
    for ids in _texts(split):
        found.add(ids, vocabulary, sizes)
    return found


def _texts(split: Split) -> Iterator[np.ndarray]:
    """The ids of each text of a split, or of examples spread evenly over it."""
    n = min(len(split), MOST_EXAMPLES)
    for i in range(n):
        example: Any = split.get((2 * i + 1) * len(split) // (2 * n), 0)
        yield from (ids for side in SIDES if (ids := getattr(example, side, None)) is not None)


def _n_documents(split: Split) -> int | None:
    if isinstance(split, Rows):
        return None if split.ends is None else len(split.ends)
    documents = getattr(split, "documents", None)
    return None if documents is None or not len(documents) else int(documents.max()) + 1


def _lengths(split: Split) -> tuple[np.ndarray, str]:
    """Lengths (n,) and what they are of: documents of rows that are all alike, else examples."""
    if isinstance(split, Rows) and split.ends is not None:
        return np.diff(split.ends, prepend=0) - 1, "document"
    if split.lengths is None:
        n = 0 if not len(split) else len(_first_side(split))
        return np.full(min(len(split), MOST_EXAMPLES), n), "example"
    lengths = np.asarray(split.lengths)
    return (lengths.max(axis=1) if lengths.ndim == 2 else lengths), "example"  # longer of two sides


def _first_side(split: Split) -> Any:
    example: Any = split.get(0, 0)
    return next(ids for side in SIDES if (ids := getattr(example, side, None)) is not None)


def histogram(lengths: np.ndarray, n_bins: int = 8) -> list[tuple[int, int, int]]:
    """(first, last, how many) of at most n_bins ranges of equally many lengths."""
    if not len(lengths):
        return []
    low, high = int(lengths.min()), int(lengths.max())
    width = max(1, -(-(high - low + 1) // n_bins))
    counts = np.bincount((lengths - low) // width)
    return [
        (low + i * width, min(low + (i + 1) * width - 1, high), int(n))
        for i, n in enumerate(counts)
    ]

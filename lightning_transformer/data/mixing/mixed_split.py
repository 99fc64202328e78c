"""The splits of several sources as one split."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lightning_transformer.data.compact import Compact
from lightning_transformer.data.encode import NO_TAG
from lightning_transformer.data.examples import Example, Labelled, Tagged
from lightning_transformer.data.mixing.mixed_order import MixedOrder
from lightning_transformer.data.mixing.quota import Quota
from lightning_transformer.data.packing.rows import Rows
from lightning_transformer.data.split import ExampleList, Split

BLOCK = 4096  # examples whose places are computed together
COUNTED = 1 << 22  # tokens that are looked through at a time


def renumbered(own: Sequence[str], all_labels: Sequence[str]) -> np.ndarray | None:
    """The number (n,) among all labels of each label of a part; None where nothing changes."""
    if list(own) == list(all_labels[: len(own)]):
        return None
    return np.array([all_labels.index(label) for label in own])


def tokens_per_example(split: Split) -> np.ndarray | int | None:
    """Tokens of each example (n,), or of any of them; None where they differ from pass to pass."""
    if isinstance(split, Rows):
        return split.seq_len
    if isinstance(split, ExampleList) and isinstance(split.examples, Compact):
        found = split.examples
        ids = [field for field in found.arrays() if field not in ("tags", "scored", "rest")]
        return np.sum([found.lengths(field) for field in ids], axis=0)
    return None


class PartSplits:
    """One split of each part.

    splits: by name. numbers: of each part that has one, see `renumbered`.
    """

    def __init__(self, splits: Mapping[str, Split], numbers: Mapping[str, np.ndarray | None]):
        self.names, self.splits = list(splits), list(splits.values())
        self.sizes = [len(split) for split in self.splits]
        self._numbers = [numbers.get(name) for name in self.names]

    @property
    def n_tokens(self) -> int:
        """Tokens of all parts."""
        return sum(split.n_tokens for split in self.splits)

    def get(self, part: int, index: int, epoch: int) -> Example:
        """Example `index` of pass `epoch` of a part, with the number of its label among all."""
        example, numbers = self.splits[part].get(index, epoch), self._numbers[part]
        if numbers is None:
            return example
        if isinstance(example, Labelled):
            return example._replace(label=int(numbers[example.label]))
        assert isinstance(example, Tagged), "no other example has a label"
        tags = np.where(example.tags == NO_TAG, NO_TAG, numbers[np.maximum(example.tags, 0)])
        return example._replace(tags=tags.astype(example.tags.dtype))

    def lengths(self) -> list[np.ndarray] | None:
        """Tokens of each example of each part; None if all are alike, or one does not tell."""
        found = [split.lengths for split in self.splits]
        return None if any(one is None for one in found) else found  # type: ignore[return-value]

    def unknown_bytes(self, unk_id: int) -> float | None:
        """Mean UTF-8 bytes behind an unknown token of any part; None = there is none."""
        size = n = 0.0
        for split in self.splits:
            mean = getattr(split, "unknown_bytes", None)
            if isinstance(split, Rows) and mean is not None:
                unknown = n_unknown(split, unk_id)
                size, n = size + mean * unknown, n + unknown
        return size / n if n else None


def n_unknown(rows: Rows, unk_id: int) -> int:
    """Unknown tokens of a text."""
    starts = range(0, len(rows.tokens), COUNTED)
    return sum(int((rows.tokens[i : i + COUNTED] == unk_id).sum()) for i in starts)


class TrainingMix:
    """A split for training: examples numbered part after part, visited by `MixedOrder`.

    quota: the shares of the parts.
    """

    documents = None

    def __init__(self, parts: PartSplits, quota: Quota) -> None:
        self.parts, self.quota = parts, quota
        self.n_tokens = parts.n_tokens
        self._starts = np.cumsum([0, *parts.sizes])

    @property
    def lengths(self) -> np.ndarray | None:
        found = self.parts.lengths()
        return None if found is None else np.concatenate(found)

    def order(self, seed: int, batch_size: int, bucket_steps: int) -> MixedOrder:
        """The order of its samples."""
        return MixedOrder(
            self.parts.names,
            self.parts.sizes,
            self.parts.lengths(),
            self.quota,
            seed,
            batch_size,
            bucket_steps,
        )

    def __len__(self) -> int:
        return int(self._starts[-1])

    def get(self, index: int, epoch: int) -> Example:
        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self.parts.get(part, index - int(self._starts[part]), epoch)


class EvaluationMix:
    """A split to evaluate: all examples of all parts once, evenly among each other.

    So the first ones, which trainer.limit_val_batches leaves, are of all parts by their sizes.
    """

    def __init__(self, parts: PartSplits, unk_id: int) -> None:
        self.parts = parts
        self.n_tokens = parts.n_tokens
        self.unknown_bytes = parts.unknown_bytes(unk_id)
        self._dealt = Quota(parts.sizes)
        self._blocks: dict[int, tuple[Any, Any]] = {}

    @property
    def lengths(self) -> np.ndarray | None:
        found = self.parts.lengths()
        return None if found is None else self._in_order(found)

    @property
    def documents(self) -> np.ndarray | None:
        """Numbers of the first and last document in each example (n, 2), or None if unknown."""
        found, start = [], 0
        for split in self.parts.splits:
            documents = split.documents
            if documents is None:
                return None
            found.append(documents + start)
            start += int(documents.max(initial=-1)) + 1
        return self._in_order(found)

    def _in_order(self, values: Sequence[np.ndarray]) -> np.ndarray:
        parts, numbers = self._dealt.dealt(0, len(self))
        found = np.empty((len(self), *values[0].shape[1:]), dtype=values[0].dtype)
        for part, of_part in enumerate(values):
            found[parts == part] = of_part[numbers[parts == part]]
        return found

    def __len__(self) -> int:
        return sum(self.parts.sizes)

    def _place(self, index: int) -> tuple[int, int]:
        """The part of an example, and its number there."""
        number, within = divmod(index, BLOCK)
        if number not in self._blocks:
            if len(self._blocks) > 4:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[number] = self._dealt.dealt(number * BLOCK, BLOCK)
        parts, numbers = self._blocks[number]
        return int(parts[within]), int(numbers[within])

    def get(self, index: int, epoch: int) -> Example:
        return self.parts.get(*self._place(index), epoch)

    def losses(self, rows: np.ndarray) -> dict[str, float]:
        """Mean loss of a target by part. rows: what `RowLosses` gives, with loss, count and row."""
        parts = self._dealt.dealt(0, len(self))[0][rows["row"]]
        sums, counts = (
            np.bincount(parts, rows[field].astype(np.float64), minlength=len(self.parts.names))
            for field in ("loss", "count")
        )
        return {
            name: float(sums[part] / counts[part])
            for part, name in enumerate(self.parts.names)
            if counts[part]
        }

"""The contract of tokenizers: an option that learns from text, and the vocabulary it gives."""

import copy
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

N_SPECIAL = 6


class Vocabulary(ABC):
    """Token ids of text, 0 .. n_text - 1, followed by six special ids that text never yields.

    The special ones are, in this order, padding, begin, end, mask, class and unknown. Only the
    last may come out of `encode`, for a character or word that the vocabulary lacks.
    `cuts` matches where a text may be cut without another token coming out; None = nowhere.
    `is_utf8` says that the ids of a text are its bytes. `before` and `after` are ids that a trained
    model expects around a row. A task may add `marks`, see `with_marks`.
    """

    marks: tuple[str, ...] = ()
    cuts: re.Pattern[str] | None = None
    is_utf8 = False
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    def __init__(self, n_text: int) -> None:
        self.n_text = n_text
        self.size = n_text + N_SPECIAL
        self.pad_id, self.bos_id, self.eos_id = n_text, n_text + 1, n_text + 2
        self.mask_id, self.cls_id, self.unk_id = n_text + 3, n_text + 4, n_text + 5

    @property
    def special_ids(self) -> np.ndarray:
        """Return the ids (n,) that text never yields."""
        return np.arange(self.n_text, self.size)

    @property
    @abstractmethod
    def id_bytes(self) -> np.ndarray:
        """UTF-8 bytes of text that each id encodes, (size,) int64; 0 for the special ids."""

    @abstractmethod
    def encode(self, text: str) -> np.ndarray:
        """Return the ids (n,) int32 of a text."""

    @abstractmethod
    def encode_with_starts(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids (n,) and the number (n,) of the character at which each token starts."""

    @abstractmethod
    def decode_text(self, ids: np.ndarray) -> str:
        """Return the text of ids (n,) below n_text; invalid UTF-8 is shown as U+FFFD."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the vocabulary to a JSON file, customarily called tokenizer.json."""

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the ids of each text; a vocabulary that is faster on many texts overrides it."""
        return [self.encode(text) for text in texts]

    def token_text(self, number: int) -> str:
        """Return what one id of text stands for, to be read by a person."""
        return self.decode_text(np.array([number]))

    def with_marks(self, marks: Sequence[str]) -> "Vocabulary":
        """Return the same vocabulary with further special ids behind the six, shown as `marks`."""
        extended = copy.copy(self)
        extended.marks, extended.size = tuple(marks), self.n_text + N_SPECIAL + len(marks)
        return extended

    @property
    def mark_ids(self) -> np.ndarray:
        """The ids (n,) of the marks."""
        return np.arange(self.n_text + N_SPECIAL, self.size)

    def decode(self, ids: Any) -> str:
        """Return the text of ids (n,), a list, array or tensor.

        Padding, begin, end and class are dropped, mask is shown as [MASK], unknown as U+FFFD, and
        marks by their names.
        Raises ValueError for an id outside [0, size).
        """
        ids = np.asarray(ids, dtype=np.int64).reshape(-1)
        if ids.size and (ids.min() < 0 or ids.max() >= self.size):
            raise ValueError(
                f"token ids must lie in [0, {self.size}) to be decoded; got {ids.min()} to "
                f"{ids.max()}, the highest valid one is {self.size - 1}"
            )
        shown = {self.mask_id: "[MASK]", self.unk_id: "\ufffd"}
        shown |= zip(self.mark_ids.tolist(), self.marks, strict=True)
        ids = ids[(ids < self.n_text) | np.isin(ids, list(shown))]
        parts, start = [], 0
        for mark in np.flatnonzero(ids >= self.n_text).tolist():
            parts.append(self.decode_text(ids[start:mark]))
            parts.append(shown[int(ids[mark])])
            start = mark + 1
        parts.append(self.decode_text(ids[start:]))
        return "".join(parts)


class Tokenizer(Protocol):
    """A tokenizer option: how to get a vocabulary from the texts of the training split.

    Texts that are too long for memory come in pieces of whole words.
    """

    def train(self, texts: Iterable[str]) -> Vocabulary: ...

    def identity(self) -> dict[str, Any]:
        """What the vocabulary depends on besides the texts, as JSON holds it."""
        ...

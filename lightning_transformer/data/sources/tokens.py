"""Token ids of the user, encoded already."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lightning_transformer.data.examples import Tokens as TokensExample
from lightning_transformer.data.files import matching_files
from lightning_transformer.data.formats.token_files import check_dtype, token_file
from lightning_transformer.data.holdout import assign, split_names
from lightning_transformer.data.packing.base import Packing
from lightning_transformer.data.packing.documents import Documents
from lightning_transformer.data.packing.rows import Rows
from lightning_transformer.data.records import Records
from lightning_transformer.data.sources._own_files import OwnFiles
from lightning_transformer.data.split import Record
from lightning_transformer.data.tokenizers.bytes import Bytes
from lightning_transformer.data.tokenizers.file import File

BLOCK = 1 << 24  # tokens that are looked through at a time


@dataclass(kw_only=True, eq=False)
class TokenIds(OwnFiles):
    """Token ids from .npy or .bin files, see `token_file`; the tokenizer is the one that made them.

    eos_id: the id that ends each document in the files, or begins it; it becomes end-of-document of
    the tokenizer, and documents go to a split by the hash of their ids. None: documents are not
    known, and the end of each file is held out. val_path and test_path, if given, take the place of
    the fraction of that split.

    path, val_path, test_path: files, or patterns such as shard_*.bin. dtype: of .bin files without
    a header. Fractions are in [0, 1).
    Raises ValueError for files of another form, for ids that the tokenizer lacks, and for a
    tokenizer that would have to learn from text.
    """

    name = "tokens"
    example = TokensExample

    packing: Packing
    dtype: str | None = None
    eos_id: int | None = None
    batch_size: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dtype(self.dtype)
        if not isinstance(self.tokenizer, File | Bytes):
            raise ValueError(
                "data=tokens has no text to learn a tokenizer from; use tokenizer=file with "
                "tokenizer.path=tokenizer.json, the one that made the ids"
            )
        if self.eos_id is None and isinstance(self.packing, Documents):
            raise ValueError(
                "packing=documents needs to know where documents end; use data.eos_id=50256, or "
                "the id that ends one in these files, or packing=stream"
            )
        self._arrays: list[np.ndarray] = []

    def inputs(self) -> list[Path]:
        """Return none: nothing is left to be encoded."""
        return []

    def read(self) -> dict[str, Records]:
        """Return a record per document, or part of a file: [file, first token, end] as note.

        Its text is the digest of its ids.
        """
        self._arrays = []
        spans = {"": self._open(self.path, "data.path")}
        for split, path in self.held_out.items():
            spans[split] = self._open(path, f"data.{split}_path")
        names = split_names(*self.fractions)
        records = {split: Records(partial(self._part, spans[""], split)) for split in names}
        for split in self.held_out:
            records[split] = Records(partial(self._part, spans[split], None))
        return records

    def _open(self, path: str, key: str) -> list[int]:
        """Map the files of a path; return their numbers among all."""
        first = len(self._arrays)
        for file in matching_files(path, key=key):
            self._arrays.append(token_file(str(file), key=key, dtype=self.dtype))
        numbers = list(range(first, len(self._arrays)))
        if not any(len(self._arrays[number]) for number in numbers):
            raise ValueError(f"{key}={path} is empty (0 tokens in {len(numbers)} files); add some")
        return numbers

    def _part(self, numbers: Sequence[int], split: str | None) -> Iterator[Record]:
        """The records of a split; None: all of these files."""
        for number in numbers:
            for start, end in self._spans(number, split):
                if start < end:
                    ids = np.ascontiguousarray(self._arrays[number][start:end], dtype="<u4")
                    digest = hashlib.sha256(ids.tobytes()).hexdigest()
                    by_hash = split is not None and self.eos_id is not None
                    if not by_hash or assign(digest, *self.fractions) == split:
                        yield Record((digest,), [number, start, end])

    def _spans(self, number: int, split: str | None) -> Iterator[tuple[int, int]]:
        """The documents of a file, else its part that is of a split."""
        n = len(self._arrays[number])
        if self.eos_id is not None:
            start = 0
            for block in range(0, n, BLOCK):
                found = np.flatnonzero(self._arrays[number][block : block + BLOCK] == self.eos_id)
                for end in (found + block).tolist():
                    yield start, end
                    start = end + 1
            yield start, n
            return
        val, test = self.fractions if split is not None else (0.0, 0.0)
        cuts = [0, int((1 - val - test) * n + 1e-9), int((1 - test) * n + 1e-9), n]
        at = ("train", "val", "test").index(split) if split is not None else 0
        yield cuts[at], cuts[at + 1] if split is not None else n

    def encode(self, split: str, records: Sequence[Record]) -> Rows:
        """Pack the ids. Raises ValueError for those that the tokenizer lacks, and for too few."""
        spans = [record.note for record in records]
        documents = [self._arrays[number][start:end] for number, start, end in spans]
        largest = max(int(ids.max()) for ids in documents)
        least = min(int(ids.min()) for ids in documents)
        n_text = self.vocabulary.n_text
        if largest >= n_text or least < 0:
            raise ValueError(
                f"data.{split} holds the id {largest if largest >= n_text else least}, but the "
                f"tokenizer has 0 to {n_text - 1}; use tokenizer=file with the one that made them"
            )
        training = split == "train"
        eos = self.vocabulary.eos_id
        rows = self.packing.pack(documents, seq_len=self.seq_len, eos_id=eos, training=training)
        if not len(rows):
            raise ValueError(
                f"{split} split has {rows.n_tokens} tokens, too few for "
                f"data.seq_len={self.seq_len}; use data.seq_len={max(1, rows.n_tokens - 2)}"
            )
        return rows

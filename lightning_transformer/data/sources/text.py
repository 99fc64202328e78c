"""Plain text files of the user."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.files import matching_files
from lightning_transformer.data.formats.compression import is_compressed, suffix
from lightning_transformer.data.formats.documents import DocumentReader
from lightning_transformer.data.holdout import assign, split_names
from lightning_transformer.data.loading.data_digest import n_bytes
from lightning_transformer.data.packing.base import Packing
from lightning_transformer.data.packing.rows import Joined, Rows
from lightning_transformer.data.pieces import divided, scan
from lightning_transformer.data.records import Records, split_by_hash
from lightning_transformer.data.sources._own_files import OwnFiles
from lightning_transformer.data.split import Record

MANY = 20
"""From this number of files on, complete files are held out instead of the end of each."""

ROWS = "task=causal_lm data=corpus data.text_key=text"
BETTER = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), f"{ROWS} for texts at a key"),
    **dict.fromkeys((".csv", ".tsv"), f"{ROWS} for texts in a column"),
    **dict.fromkeys((".parquet", ".arrow", ".feather"), f"{ROWS} for texts in a column"),
    **dict.fromkeys((".npy", ".bin"), "data=tokens for token ids"),
    **dict.fromkeys((".conll", ".conllu"), "task=tagging model=encoder_only data=conll for tags"),
}


def contiguous(text: str, val_fraction: float, test_fraction: float) -> dict[str, str]:
    """Cut a text into train, val and test, in this order; cuts are rounded down to characters."""
    first = int((1 - val_fraction - test_fraction) * len(text) + 1e-9)
    second = int((1 - test_fraction) * len(text) + 1e-9) if test_fraction else len(text)
    return {"train": text[:first], "val": text[first:second], "test": text[second:]}


def _cut(record: Record, val_fraction: float, test_fraction: float) -> dict[str, Record]:
    """`contiguous` of a text that may be too long for memory."""
    if record.part is None:
        parts = contiguous(record.texts[0], val_fraction, test_fraction)
        return {split: Record((part,)) for split, part in parts.items()}
    shares = (1 - val_fraction - test_fraction, 1 - test_fraction if test_fraction else 1.0)
    divided_parts = zip(("train", "val", "test"), divided(record.part, shares), strict=True)
    return {split: Record((), part=part) for split, part in divided_parts}


@dataclass(kw_only=True, eq=False)
class Text(OwnFiles):
    """Text files: documents are held out by their hash, or the end of each file, or whole files.

    documents: what one is, see `DocumentReader`. Those within files go to a split by the hash of
    their text. With documents=file, one to 19 files: each is cut into train, then val, then test;
    from 20 files on, a file goes to a split by the hash of its name relative to the folder of the
    pattern. val_path and test_path, if given, take the place of the fraction of that split. A
    fraction of 0 without such a path: there is no such split. CRLF is read as LF. Files may be
    compressed: .gz, .xz, .zst, or .zip with one file in it.

    path, val_path, test_path: file, or pattern such as texts/*.txt. Fractions are in [0, 1).
    format: auto, or text to read also what its suffix says to be something else as plain text.
    cache_gb: most GB of encoded text that are kept in the cache, above 0.
    Raises ValueError for missing, empty or non-UTF-8 files and for impossible fractions.
    """

    name = "text"
    example = Tokens

    cache_gb: float = 100.0
    packing: Packing
    documents: str = "file"
    format: str = "auto"
    cleaning: dict | None = None
    batch_size: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.format not in ("auto", "text"):
            raise ValueError(f"data.format={self.format} must be auto or text, for example auto")
        self.reader = DocumentReader(self.documents)
        # Of large files, each of which is read several times and looked through once.
        self._scanned: dict[Path, Record] = {}
        self._cuts: dict[Path, dict[str, Record]] = {}

    @cached_property
    def _stays_on_disk(self) -> bool:
        return self.documents == "file" and self.is_large()

    def _files(self, path: str, key: str) -> list[tuple[str, Path]]:
        """Return the files, sorted by their names relative to the folder that they share."""
        files = matching_files(path, key=key)
        for file in files if self.format == "auto" else ():
            if better := BETTER.get(suffix(file)):
                raise ValueError(
                    f"{key}={file} is no plain text by its suffix; use {better}, or "
                    "data.format=text to read it as it is"
                )
        folder = os.path.commonpath([file.absolute().parent for file in files])
        named = [(file.absolute().relative_to(folder).as_posix(), file) for file in files]
        return sorted(named)

    def _documents(self, path: str, key: str) -> Iterator[Record]:
        files = self._files(path, key)
        n, before = 0, self.reader.n_markers
        for _, file in files:
            for record in self._in_file(file, key):
                n += 1
                yield record
        if not n:
            raise ValueError(f"{key}={path} is empty (0 tokens in {len(files)} files); add text")
        if self.reader.has_marker and self.reader.n_markers == before:
            raise ValueError(
                f"{key}={path} does not hold the marker data.documents={self.documents!r}; use "
                "file, line, block, or a text that stands between documents"
            )

    def _in_file(self, file: Path, key: str) -> Iterator[Record]:
        """The documents of a file; one that is a whole large file stays on the disk."""
        if self._stays_on_disk and not is_compressed(file):
            if file not in self._scanned:
                self._scanned[file] = Record((), part=scan(file, key))
            whole = self._scanned[file]
            yield from [whole] if sum(n_bytes(whole)) else []
        else:
            yield from (Record((text,)) for text in self.reader.read(str(file), key=key))

    def _part(self, files: Sequence[tuple[str, Path]], split: str) -> Iterable[Record]:
        """The part of each file that is of a split, or the files that are."""
        for name, file in files:
            if len(files) >= MANY and assign(name, *self.fractions) != split:
                continue
            for record in self._in_file(file, "data.path"):
                part = record if len(files) >= MANY else self._cut(file, record)[split]
                if sum(n_bytes(part)):
                    yield part

    def _cut(self, file: Path, record: Record) -> dict[str, Record]:
        """The parts of a file by split."""
        if record.part is None:
            return _cut(record, *self.fractions)
        if file not in self._cuts:
            self._cuts[file] = _cut(record, *self.fractions)
        return self._cuts[file]

    def read(self) -> dict[str, Records]:
        """Return the documents of each split, files by name."""
        if self.documents == "file":
            files = self._files(self.path, "data.path")
            next(self._documents(self.path, "data.path"))  # refuses empty files
            records = {
                split: Records(partial(self._part, files, split))
                for split in split_names(*self.fractions)
            }
        else:
            records = split_by_hash(
                partial(self._documents, self.path, "data.path"), *self.fractions
            )
        for split, path in self.held_out.items():
            records[split] = Records(partial(self._documents, path, f"data.{split}_path"))
        return records

    def encode(self, split: str, records: Sequence[Record] | Joined) -> Rows:
        return encode.documents(split, records, self.vocabulary, self.packing, self.seq_len)

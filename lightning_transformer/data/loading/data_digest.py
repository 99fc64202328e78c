"""What identifies the text of a run, so that only runs on the same text are compared."""

import hashlib
import itertools
import json
import logging
from collections.abc import Container, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass

import numpy as np

from lightning_transformer.data.split import Record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataIdentity:
    """Name of the source, SHA-256 and UTF-8 bytes of its raw text, tokens of its training split.

    The digest covers every text and note in canonical order and the split that each belongs to,
    but neither tokenizer nor seq_len, except where the source cuts its raw text by seq_len.
    """

    name: str
    sha256: str
    bytes: int
    n_tokens: int


def n_bytes(record: Record) -> list[int]:
    """UTF-8 bytes of each text of a record."""
    if record.part is not None:
        return [record.part.n_bytes]
    return [len(text.encode("utf-8", errors="surrogatepass")) for text in record.texts]


def _content(record: Record) -> Iterator[bytes]:
    """The texts of a record as UTF-8, in blocks."""
    if record.part is not None:
        return record.part.utf8()
    return (text.encode("utf-8", errors="surrogatepass") for text in record.texts)


def count(records: Iterable[Record]) -> int:
    """How many records there are."""
    return len(records) if isinstance(records, Sized) else sum(1 for _ in records)


def identify(name: str, records: Mapping[str, Iterable[Record]], n_tokens: int) -> DataIdentity:
    """Digest the raw records of all splits, one by one; n_tokens counts the training tokens."""
    digest, size = hashlib.sha256(), 0
    for split in sorted(records):
        digest.update(f"split {split} {count(records[split])}\n".encode())
        for record in records[split]:
            lengths = n_bytes(record)
            size += sum(lengths)
            # Lengths go first so that moving a boundary between texts changes the digest.
            note = json.dumps(record.note, ensure_ascii=True)
            digest.update(f"{lengths} {len(note)}\n".encode())
            for block in _content(record):
                digest.update(block)
            digest.update(note.encode())
    return DataIdentity(name, digest.hexdigest(), size, n_tokens)


def _text_numbers(
    records: Iterable[Record], sizes: Container[tuple[int, ...]] | None = None
) -> Iterator[int]:
    """64 bits that stand for the texts of each record, of those of some sizes only."""
    for record in records:
        size = tuple(n_bytes(record))
        if sizes is not None and size not in sizes:
            continue
        digest = hashlib.blake2b(repr(size).encode(), digest_size=8)
        for block in _content(record):
            digest.update(block)
        yield int.from_bytes(digest.digest(), "big")


def count_duplicates(records: Mapping[str, Iterable[Record]]) -> dict[str, dict[str, int]]:
    """Count the test and val examples whose texts are also in train, and those of test in val.

    Memory: 8 bytes per example of test and val, and the different sizes of them.
    """
    held_out = [split for split in ("test", "val") if split in records]
    sizes = {tuple(n_bytes(record)) for split in held_out for record in records[split]}
    numbers = {split: _numbers_of(_text_numbers(records[split])) for split in held_out}
    in_train = {split: np.zeros(len(of), dtype=bool) for split, of in numbers.items()}
    training = _text_numbers(records["train"] if sizes else (), sizes)
    while len(part := _numbers_of(itertools.islice(training, 1 << 16))):
        for split, of in numbers.items():
            in_train[split] |= np.isin(of, part)
    found = {split: {"train": int(equal.sum())} for split, equal in in_train.items()}
    if len(held_out) == 2:
        found["test"]["val"] = int(np.isin(numbers["test"], numbers["val"]).sum())
    return found


def _numbers_of(numbers: Iterable[int]) -> np.ndarray:
    return np.fromiter(numbers, dtype=np.uint64)


def warn_duplicates(
    name: str, found: Mapping[str, Mapping[str, int]], n_records: Mapping[str, int]
) -> None:
    """Say what `count_duplicates` found, if anything; n_records: examples by split."""
    words = {"train": "training", "val": "validation"}
    for split, others in found.items():
        for other, n in others.items():
            if n:
                log.warning(
                    "%s: %d of %d %s examples are also in the %s split",
                    name, n, n_records[split], words.get(split, split), words[other],
                )  # fmt: skip

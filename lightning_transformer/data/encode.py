"""From raw records to encoded splits, one function per kind of example."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from lightning_transformer.data.compact import Compact, compact, in_parts
from lightning_transformer.data.examples import (
    Example,
    Labelled,
    MultiLabelled,
    Pair,
    Preference,
    Rated,
    Tagged,
)
from lightning_transformer.data.loading.data_digest import n_bytes
from lightning_transformer.data.packing.base import Packing
from lightning_transformer.data.packing.rows import Joined, Rows
from lightning_transformer.data.split import ExampleList, Record
from lightning_transformer.data.tokenizers.base import Vocabulary

log = logging.getLogger(__name__)
NO_TAG = -100
Numbers = Sequence[int] | np.ndarray


def document_numbers(records: Iterable[Record]) -> np.ndarray:
    """The number (n,) of the document of each record, from 0 in the order in which they occur."""
    seen: dict[str, int] = {}
    fresh = itertools.count()

    def number(record: Record) -> int:
        if record.document is None:
            return next(fresh)
        if record.document not in seen:
            seen[record.document] = next(fresh)
        return seen[record.document]

    return np.fromiter(map(number, records), dtype=np.int64)


def documents(
    split: str,
    records: Iterable[Record] | Joined,
    vocabulary: Vocabulary,
    packing: Packing,
    seq_len: int,
) -> Rows:
    """Encode documents, if they are not encoded, and pack them into rows.

    Raises ValueError when training has fewer than seq_len tokens with end-of-document, or any split
    fewer than 2.
    """
    training, eos_id = split == "train", vocabulary.eos_id
    if isinstance(records, Joined):
        rows = packing.pack(records, seq_len=seq_len, eos_id=eos_id, training=training)
        rows.unknown_bytes = records.unknown_bytes
    else:
        encoded = [vocabulary.encode("".join(record.blocks())) for record in records]
        rows = packing.pack(encoded, seq_len=seq_len, eos_id=eos_id, training=training)
        size = sum(sum(n_bytes(record)) for record in records)
        rows.unknown_bytes = bytes_of_unknown(split, size, encoded, vocabulary)
    least = max(2, seq_len) if training else 2
    if rows.n_tokens < least:
        if not training:
            advice = "; enlarge its fraction of the data"
        elif rows.n_tokens < 2:
            advice = "; add text"
        else:
            advice = f" for seq_len={seq_len}; use data.seq_len={rows.n_tokens} or less"
        raise ValueError(f"{split} split has {rows.n_tokens} tokens, needs >= {least}{advice}")
    return rows


def _encoded(
    records: Iterable[Record], vocabulary: Vocabulary, number: int = 0
) -> Iterator[tuple[Record, np.ndarray]]:
    """Each record with the ids of one of its texts; many are encoded at a time."""
    for part in in_parts(records):
        ids = vocabulary.encode_all([record.texts[number] for record in part])
        yield from zip(part, ids, strict=True)


def bytes_of_unknown(
    split: str, size: int, encoded: Iterable[np.ndarray], vocabulary: Vocabulary
) -> float | None:
    """Mean UTF-8 bytes of text that an unknown token stands for; None without any, else logged.

    size: UTF-8 bytes of the text that is encoded.
    """
    sizes, n_unknown, n_tokens, known = vocabulary.id_bytes, 0, 0, 0
    for ids in encoded:
        n_unknown += int((ids == vocabulary.unk_id).sum())
        n_tokens += len(ids)
        known += int(sizes[ids].sum())
    if not n_unknown:
        return None
    log.info(
        "%s: %.2g %% of the tokens stand for text that the tokenizer does not know",
        split, 100 * n_unknown / n_tokens,
    )  # fmt: skip
    return (size - known) / n_unknown


def pairs(records: Iterable[Record], vocabulary: Vocabulary) -> Sequence[Pair]:
    """Encode (source, target) texts."""
    sides = (_encoded(records, vocabulary, number) for number in (0, 1))
    return compact(Pair(source, target) for (_, source), (_, target) in zip(*sides, strict=True))


def example_split(examples: Iterable[Example], of: Numbers | None = None) -> ExampleList:
    """Make a split of examples; its tokens are those of all their ids. of: see `ExampleList`."""
    kept = compact(examples)
    if not isinstance(kept, Compact):
        return ExampleList(kept, 0, of)
    ids = [field for field in kept.arrays() if field not in ("tags", "classes", "rest")]
    return ExampleList(kept, sum(len(kept.columns[field]) for field in ids), of)


class TooLong:
    """How many examples are longer than seq_len tokens; said at the end, as what became of them."""

    def __init__(self, split: str, seq_len: int) -> None:
        self.split, self.seq_len, self.n, self.longest = split, seq_len, 0, 0

    def add(self, *lengths: int) -> "TooLong":
        self.n += sum(length > self.seq_len for length in lengths)
        self.longest = max(self.longest, *lengths, 0)
        return self

    def say(self, total: int, done: str) -> None:
        if not self.n:
            return
        line = f"{self.split}: {self.n} of {total} examples are longer than seq_len={self.seq_len}"
        if self.split == "train":
            log.info("%s: %s", line, done)
            return
        advice = f"so the model does not see that; data.seq_len={self.longest} has all"
        log.warning("%s: %s, %s", line, done, advice)


def _longer_sides(examples: Sequence[Pair]) -> np.ndarray:
    """Tokens (n,) of the longer side of each pair."""
    if isinstance(examples, Compact):
        return np.maximum(examples.lengths("source"), examples.lengths("target"))
    return np.array([max(len(e.source), len(e.target)) for e in examples], dtype=np.int64)


def short_pairs(split: str, examples: Sequence[Pair], seq_len: int) -> list[int]:
    """The numbers of the pairs with both sides of at most seq_len tokens; log how many are not."""
    longest = _longer_sides(examples)
    kept = np.flatnonzero(longest <= seq_len).tolist()
    TooLong(split, seq_len).add(*longest.tolist()).say(len(examples), "dropped")
    if not kept:
        raise ValueError(
            f"{split} split has no pair within data.seq_len={seq_len} tokens; raise it, "
            f"for example to {longest.min() if len(longest) else 192}"
        )
    return kept


def preferences(records: Iterable[Record], vocabulary: Vocabulary) -> list[Preference]:
    """Encode (prompt, chosen, rejected) texts, each by itself."""
    sides = (_encoded(records, vocabulary, number) for number in range(3))
    return [Preference(*(ids for _, ids in row)) for row in zip(*sides, strict=True)]


def truncate_pairs(split: str, examples: Sequence[Pair], seq_len: int) -> Sequence[Pair]:
    """Cut both sides of each pair to seq_len tokens; log how many were longer.

    What is cut off a target is kept as its `rest`, but for training.
    """
    longest = _longer_sides(examples)
    TooLong(split, seq_len).add(*longest.tolist()).say(len(examples), "truncated")
    if longest.max(initial=0) <= seq_len:
        return examples
    keeps = split != "train" and any(len(e.target) > seq_len for e in examples)
    return compact(
        Pair(e.source[:seq_len], e.target[:seq_len], rest=e.target[seq_len:] if keeps else None)
        for e in examples
    )


def labelled(
    split: str,
    records: Iterable[Record],
    vocabulary: Vocabulary,
    labels: Sequence[str],
    seq_len: int,
) -> ExampleList:
    """Encode labelled texts, cut to seq_len tokens.

    Raises ValueError for a label that is not among `labels`.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    long = TooLong(split, seq_len)

    def examples() -> Iterator[Labelled]:
        for row, (record, ids) in enumerate(_encoded(records, vocabulary), start=1):
            if record.note not in numbers:
                raise ValueError(_unknown_label(record.note, split, row, labels))
            long.add(len(ids))
            yield Labelled(ids[:seq_len], numbers[record.note])

    found = example_split(examples(), document_numbers(records))
    long.say(len(found), "truncated")
    return found


def multi_labelled(
    split: str,
    records: Iterable[Record],
    vocabulary: Vocabulary,
    labels: Sequence[str],
    seq_len: int,
) -> ExampleList:
    """Encode texts with a list of labels each, cut to seq_len tokens.

    Raises ValueError for a label that is not among `labels`.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    long = TooLong(split, seq_len)

    def examples() -> Iterator[MultiLabelled]:
        for row, (record, ids) in enumerate(_encoded(records, vocabulary), start=1):
            unknown = next((label for label in record.note if label not in numbers), None)
            if unknown is not None:
                raise ValueError(_unknown_label(unknown, split, row, labels))
            long.add(len(ids))
            classes = np.array([numbers[label] for label in record.note], dtype=np.int16)
            yield MultiLabelled(ids[:seq_len], classes)

    found = example_split(examples())
    long.say(len(found), "truncated")
    return found


def _unknown_label(label: str, split: str, row: int, labels: Sequence[str]) -> str:
    return (
        f"label {label!r} at {split} example {row} is not among the "
        f"{len(labels)} training labels: {', '.join(labels[:20])}"
    )


def rated(
    split: str, records: Iterable[Record], vocabulary: Vocabulary, seq_len: int
) -> ExampleList:
    """Encode texts with a number each, cut to seq_len tokens."""
    long = TooLong(split, seq_len)

    def examples() -> Iterator[Rated]:
        for record, ids in _encoded(records, vocabulary):
            long.add(len(ids))
            yield Rated(ids[:seq_len], float(record.note))

    found = example_split(examples())
    long.say(len(found), "truncated")
    return found


def first_tokens(starts: np.ndarray, characters: Sequence[int]) -> list[int]:
    """The first token that holds each character: one that starts there, else the one before.

    starts: (n,) character at which each token starts.
    """
    at = np.searchsorted(starts, characters, side="left")
    return (at - (np.append(starts, -1)[at] != characters)).tolist()


def tag_tokens(
    split: str, record: Record, vocabulary: Vocabulary, numbers: dict[str, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Encode a text and put each tag on the first token of its word.

    record.note: list of [first character of the word, tag]. Returns ids (n,), tags (n,) with -100
    where there is none, and the character (n,) at which each token starts.
    """
    ids, starts = vocabulary.encode_with_starts(record.texts[0])
    tags = np.full(len(ids), NO_TAG, dtype=np.int16)
    tokens = first_tokens(starts, [character for character, _ in record.note])
    for token, (_, tag) in zip(tokens, record.note, strict=True):
        if tag not in numbers:
            known = ", ".join(list(numbers)[:20])
            raise ValueError(f"tag {tag!r} in the {split} split is not among the known: {known}")
        tags[token] = numbers[tag]
    return ids, tags, starts


def truncate_tagged(split: str, examples: Sequence[Tagged], seq_len: int) -> list[Tagged]:
    """Cut each sequence and its tags to seq_len tokens; log how many were longer."""
    lengths = (len(e.ids) for e in examples)
    TooLong(split, seq_len).add(*lengths).say(len(examples), "truncated")
    return [Tagged(e.ids[:seq_len], e.tags[:seq_len]) for e in examples]

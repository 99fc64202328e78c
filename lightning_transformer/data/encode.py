"""From raw records to encoded splits, one function per kind of example."""

import logging
from collections.abc import Sequence

import numpy as np

from lightning_transformer.data.examples import Labelled, Pair, Tagged
from lightning_transformer.data.packing.base import Packing
from lightning_transformer.data.packing.rows import Rows
from lightning_transformer.data.split import ExampleList, Record
from lightning_transformer.data.tokenizers.base import Vocabulary

log = logging.getLogger(__name__)
NO_TAG = -100


def documents(
    split: str, records: Sequence[Record], vocabulary: Vocabulary, packing: Packing, seq_len: int
) -> Rows:
    """Encode documents and pack them into rows.

    Raises ValueError when training has fewer than seq_len + 1 tokens, or evaluation fewer than 2.
    """
    encoded = vocabulary.encode_all([record.texts[0] for record in records])
    training = split == "train"
    rows = packing.pack(encoded, seq_len=seq_len, eos_id=vocabulary.eos_id, training=training)
    least = seq_len + 1 if training else 2
    if rows.n_tokens < least:
        shorter = f" for seq_len={seq_len}; use data.seq_len={rows.n_tokens - 1} or less"
        raise ValueError(
            f"{split} split has {rows.n_tokens} tokens, needs >= {least}"
            + (shorter if training else "; enlarge its fraction of the data")
        )
    return rows


def pairs(records: Sequence[Record], vocabulary: Vocabulary) -> list[Pair]:
    """Encode (source, target) texts."""
    sources = vocabulary.encode_all([record.texts[0] for record in records])
    targets = vocabulary.encode_all([record.texts[1] for record in records])
    return [Pair(source, target) for source, target in zip(sources, targets, strict=True)]


def pair_split(examples: Sequence[Pair]) -> ExampleList:
    """Make a split of pairs; its tokens are those of source and target."""
    return ExampleList(examples, sum(len(e.source) + len(e.target) for e in examples))


def _log_count(split: str, n: int, total: int, seq_len: int, done: str) -> None:
    if n:
        log.info(
            "%s: %d of %d examples are longer than seq_len=%d: %s", split, n, total, seq_len, done
        )


def drop_long_pairs(split: str, examples: Sequence[Pair], seq_len: int) -> list[Pair]:
    """Leave out pairs of which either side is longer than seq_len tokens; log how many."""
    kept = [e for e in examples if max(len(e.source), len(e.target)) <= seq_len]
    _log_count(split, len(examples) - len(kept), len(examples), seq_len, "dropped")
    if not kept:
        raise ValueError(
            f"{split} split has no pair within data.seq_len={seq_len} tokens; raise it, "
            "for example to "
            f"{min((max(len(e.source), len(e.target)) for e in examples), default=192)}"
        )
    return kept


def truncate_pairs(split: str, examples: Sequence[Pair], seq_len: int) -> list[Pair]:
    """Cut both sides of each pair to seq_len tokens; log how many were longer."""
    n = sum(max(len(e.source), len(e.target)) > seq_len for e in examples)
    _log_count(split, n, len(examples), seq_len, "truncated")
    return [Pair(e.source[:seq_len], e.target[:seq_len]) for e in examples]


def labelled(
    split: str,
    records: Sequence[Record],
    vocabulary: Vocabulary,
    labels: Sequence[str],
    seq_len: int,
) -> ExampleList:
    """Encode labelled texts, cut to seq_len tokens.

    Raises ValueError for a label that is not among `labels`.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    encoded = vocabulary.encode_all([record.texts[0] for record in records])
    _log_count(split, sum(len(e) > seq_len for e in encoded), len(encoded), seq_len, "truncated")
    examples = []
    for row, (record, ids) in enumerate(zip(records, encoded, strict=True), start=1):
        if record.note not in numbers:
            raise ValueError(
                f"label {record.note!r} at {split} example {row} is not among the "
                f"{len(labels)} training labels: {', '.join(labels[:20])}"
            )
        examples.append(Labelled(ids[:seq_len], numbers[record.note]))
    return ExampleList(examples, sum(len(e.ids) for e in examples))


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


def tagged_split(examples: Sequence[Tagged]) -> ExampleList:
    """Make a split of tagged sequences."""
    return ExampleList(examples, sum(len(e.ids) for e in examples))


def truncate_tagged(split: str, examples: Sequence[Tagged], seq_len: int) -> list[Tagged]:
    """Cut each sequence and its tags to seq_len tokens; log how many were longer."""
    n = sum(len(e.ids) > seq_len for e in examples)
    _log_count(split, n, len(examples), seq_len, "truncated")
    return [Tagged(e.ids[:seq_len], e.tags[:seq_len]) for e in examples]

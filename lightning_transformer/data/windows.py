"""Long tagged sentences as windows that overlap, so that each word is read once with context."""

import itertools
import logging
from collections.abc import Iterator, Sequence

import numpy as np

from lightning_transformer.data.compact import compact
from lightning_transformer.data.encode import NO_TAG, document_numbers
from lightning_transformer.data.examples import Tagged
from lightning_transformer.data.split import ExampleList, Record

log = logging.getLogger(__name__)


def window_bounds(n: int, seq_len: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (start, end, first, last) of windows of seq_len tokens over n tokens.

    start, end: the tokens that a window has; each starts half a window after the one before, the
    last ends with the sentence. first, last: the tokens that it answers for, from the middle of one
    overlap to the middle of the next, so that all n have exactly one window.
    """
    starts = [*range(0, max(n - seq_len, 0), max(1, seq_len // 2)), max(n - seq_len, 0)]
    overlaps = ((after + before + seq_len) // 2 for before, after in itertools.pairwise(starts))
    edges = [0, *overlaps, n]
    for start, (first, last) in zip(starts, itertools.pairwise(edges), strict=True):
        yield start, min(start + seq_len, n), first, last


def windowed(sentence: Tagged, number: int, seq_len: int) -> Iterator[Tagged]:
    """The sentence itself if it fits; else its windows, each with the tags it answers for."""
    if len(sentence.ids) <= seq_len:
        yield sentence
        return
    for start, end, first, last in window_bounds(len(sentence.ids), seq_len):
        tags = np.full(end - start, NO_TAG, dtype=sentence.tags.dtype)
        tags[first - start : last - start] = sentence.tags[first:last]
        if (tags != NO_TAG).any():
            yield Tagged(sentence.ids[start:end], tags, number, start)


def windowed_split(
    split: str, sentences: Sequence[Tagged], records: Sequence[Record], seq_len: int
) -> ExampleList:
    """Make a split to evaluate, with every tag of every sentence once; log how many are cut."""
    examples: list[Tagged] = []
    of: list[int] = []
    for number, (sentence, document) in enumerate(
        zip(sentences, document_numbers(records), strict=True)
    ):
        parts = list(windowed(sentence, number, seq_len))
        examples += parts
        of += [document] * len(parts)
    if n_long := sum(len(sentence.ids) > seq_len for sentence in sentences):
        log.info(
            "%s: %d of %d sentences are longer than seq_len=%d: read in windows that overlap",
            split, n_long, len(sentences), seq_len,
        )  # fmt: skip
    return ExampleList(compact(examples), sum(len(sentence.ids) for sentence in sentences), of)

"""Kinds of example that a data set yields and a task consumes; arrays of numpy only."""

from typing import NamedTuple

import numpy as np


class Tokens(NamedTuple):
    """A row of consecutive tokens; the task shifts it into inputs and targets.

    ids: (n,) integer array, n <= seq_len + 1 (the last row of an evaluation split may be shorter).
    documents: (n,) number of the document that each token belongs to as an input, or None when
        attention may cross from one document into the next. The target of an input is one of its
        document: its next token, or end-of-document, which as an input starts the next one.
    ends: (k,) where documents end within a row of an evaluation split, in inputs from its start, so
        that losses are summed per document; None in training, and where that is not known.
    """

    ids: np.ndarray
    documents: np.ndarray | None = None
    ends: np.ndarray | None = None


class Pair(NamedTuple):
    """A source sequence (m,) and its target sequence (n,), both without special tokens.

    scored: (n,) bool, which tokens of the target are to be predicted; None = all.
    rest: (k,) what follows on the target of an evaluated pair, too long to be read; None = nothing.
        A text that is written is compared with both.
    """

    source: np.ndarray
    target: np.ndarray
    scored: np.ndarray | None = None
    rest: np.ndarray | None = None


class Labelled(NamedTuple):
    """A sequence (n,) without special tokens and the number of its class."""

    ids: np.ndarray
    label: int


class MultiLabelled(NamedTuple):
    """A sequence (n,) without special tokens and the numbers (k,) of its classes, ascending."""

    ids: np.ndarray
    classes: np.ndarray


class Rated(NamedTuple):
    """A sequence (n,) without special tokens and a number."""

    ids: np.ndarray
    label: float


class Tagged(NamedTuple):
    """A sequence (n,) without special tokens and the tag number (n,) of each token; -100 = none.

    sentence, start: of a window that is cut out of a longer sentence, the number of the sentence in
    its split and of the window's first token in it; -1 and 0 of a whole sentence.
    """

    ids: np.ndarray
    tags: np.ndarray
    sentence: int = -1
    start: int = 0


class Preference(NamedTuple):
    """A prompt (m,) and two answers to it, (n,) and (k,), all without special tokens.

    chosen is better than rejected. An empty `rejected` is none: the prompt is part of an evaluation
    in which `chosen` is known, and of no pair.
    """

    prompt: np.ndarray
    chosen: np.ndarray
    rejected: np.ndarray


Example = Tokens | Pair | Labelled | MultiLabelled | Rated | Tagged | Preference

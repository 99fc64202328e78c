"""Kinds of example that a data set yields and a task consumes; arrays of numpy only."""

from typing import NamedTuple

import numpy as np


class Tokens(NamedTuple):
    """A row of consecutive tokens; the task shifts it into inputs and targets.

    ids: (n,) integer array, n <= seq_len + 1 (the last row of an evaluation split may be shorter).
    documents: (n,) number of the document that each token belongs to, or None when attention and
        targets may cross from one document into the next.
    """

    ids: np.ndarray
    documents: np.ndarray | None = None


class Pair(NamedTuple):
    """A source sequence (m,) and its target sequence (n,), both without special tokens."""

    source: np.ndarray
    target: np.ndarray


class Labelled(NamedTuple):
    """A sequence (n,) without special tokens and the number of its class."""

    ids: np.ndarray
    label: int


class Tagged(NamedTuple):
    """A sequence (n,) without special tokens and the tag number (n,) of each token; -100 = none."""

    ids: np.ndarray
    tags: np.ndarray


Example = Tokens | Pair | Labelled | Tagged

"""The contract of masking options."""

from typing import Protocol

import numpy as np


class Masking(Protocol):
    """Which tokens of a row are hidden.

    reads_words: whether it needs the numbers of words; without, it is given none.
    """

    reads_words: bool

    def choose(
        self,
        is_text: np.ndarray,
        words: np.ndarray | None,
        rate: float,
        random: np.random.Generator,
    ) -> np.ndarray:
        """The group (n,) of each token, -1 = not chosen; those of a group share one fate.

        A fate is to become [MASK], a random token, or to stay. Groups are numbers in [0, n). The
        share of text tokens that are chosen is `rate` on average. is_text: (n,) bool; others are
        never chosen. words: (n,) ascending numbers of the words that the tokens belong to.
        """
        ...

"""Hiding whole words (released with BERT in 2019; Cui et al. 2021)."""

import numpy as np


class WholeWordMasking:
    """Masking option `whole_word`: all tokens of a word or none, each word with probability `rate`.

    Of the chosen tokens each is a group of its own, as in BERT. What a word is: see `WordBorders`.
    """

    reads_words = True

    def choose(
        self,
        is_text: np.ndarray,
        words: np.ndarray | None,
        rate: float,
        random: np.random.Generator,
    ) -> np.ndarray:
        """See `Masking.choose`."""
        assert words is not None, "asked for by reads_words"
        drawn = random.random(int(words[-1]) + 1) if len(words) else np.empty(0)
        chosen = (drawn < rate)[words] & is_text
        return np.where(chosen, np.arange(len(words)), -1)

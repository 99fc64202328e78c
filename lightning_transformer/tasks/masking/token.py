"""Hiding single tokens (Devlin et al. 2019)."""

import numpy as np


class TokenMasking:
    """Masking option `token`: each token of text on its own, with probability `rate`."""

    reads_words = False

    def choose(
        self,
        is_text: np.ndarray,
        words: np.ndarray | None,
        rate: float,
        random: np.random.Generator,
    ) -> np.ndarray:
        """See `Masking.choose`; every token is a group of its own."""
        chosen = (random.random(len(is_text)) < rate) & is_text
        return np.where(chosen, np.arange(len(is_text)), -1)

"""Hiding spans of words (SpanBERT, Joshi et al. 2020)."""

import numpy as np

from lightning_transformer.nn import checks


class SpanMasking:
    """Masking option `span`: spans of whole words, until `rate` of the tokens are hidden.

        P(length = l) ~ stop_rate (1 - stop_rate)^(l - 1), l = 1 .. max_words

    which is a mean of 3.8 words by default. Spans start at a word that is drawn evenly, do not
    overlap, and end early where the text ends, at a special token and at another span. The tokens
    of a span share one fate, as in the paper. The last word is taken with the probability that
    makes the number of hidden tokens right on average, where the paper cuts it. The paper's second
    objective, from the borders of a span, is not part of this.

    stop_rate: in (0, 1]; 1 = single words. max_words: of a span, at least 1.
    """

    reads_words = True

    def __init__(self, *, stop_rate: float = 0.2, max_words: int = 10) -> None:
        checks.positive("stop_rate", stop_rate, 0.2)
        checks.at_least("max_words", max_words, 1, 10)
        if stop_rate > 1:
            raise ValueError(f"stop_rate={stop_rate} must be in (0, 1], for example 0.2")
        shares = stop_rate * (1 - stop_rate) ** np.arange(max_words)
        self.up_to = np.cumsum(shares / shares.sum())

    def choose(
        self,
        is_text: np.ndarray,
        words: np.ndarray | None,
        rate: float,
        random: np.random.Generator,
    ) -> np.ndarray:
        """See `Masking.choose`; a span is a group."""
        assert words is not None, "asked for by reads_words"
        groups = np.full(len(words), -1)
        if not len(words):
            return groups
        starts = np.flatnonzero(np.diff(words, prepend=-1))
        ends = np.append(starts[1:], len(words))
        free = is_text[starts]  # by word
        room = rate * int(is_text.sum())
        for number, start in enumerate(random.permutation(len(starts)).tolist()):
            length = int(np.searchsorted(self.up_to, random.random(), side="right")) + 1
            for word in range(start, min(start + length, len(starts))):
                if not free[word]:
                    break
                size = int(ends[word] - starts[word])
                if size > room and random.random() >= room / size:
                    return groups
                groups[starts[word] : ends[word]] = number
                free[word], room = False, room - size
                if room <= 0:
                    return groups
        return groups

"""The rules of repetition for the documents of Gopher."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from lightning_transformer.data.cleaning.base import TextFilter, as_list
from lightning_transformer.nn import checks

PARAGRAPHS, LINES = re.compile(r"\n{2,}"), re.compile(r"\n+")
FIRST_TOP, FIRST_DUPLICATE = 2, 5  # words of the shortest n-grams


def repeated(parts: Sequence[str]) -> tuple[int, int]:
    """How many parts are equal to an earlier one, and the characters of these."""
    seen: set[str] = set()
    n = n_chars = 0
    for part in parts:
        if part in seen:
            n, n_chars = n + 1, n_chars + len(part)
        seen.add(part)
    return n, n_chars


def top_ngram_chars(words: Sequence[str], n: int) -> int:
    """Characters of the most frequent n-gram, times how often it occurs; 0 if that is once.

    Of several that are as frequent, the first. An n-gram has its words and a space between them.
    """
    counts = Counter(zip(*(words[first:] for first in range(n)), strict=False))
    ngram, times = counts.most_common(1)[0] if counts else ((), 1)
    return (sum(map(len, ngram)) + n - 1) * times if times > 1 else 0


def duplicate_ngram_chars(words: Sequence[str], n: int) -> int:
    """Characters in n-grams that occurred before, none counted twice."""
    ngrams = list(zip(*(words[first:] for first in range(n)), strict=False))
    seen: set[tuple[str, ...]] = set()
    at = found = 0
    while at < len(ngrams):
        if ngrams[at] in seen:
            found += sum(map(len, ngrams[at])) + n - 1
            at += n
        else:
            seen.add(ngrams[at])
            at += 1
    return found


@dataclass
class GopherRepetition(TextFilter):
    """Removes a document with a text that repeats itself (Rae et al. 2021, table A1).

    A text has at most these shares: of lines, and of paragraphs, that are equal to an earlier one;
    of its characters in these; of its characters in the most frequent n-gram of words
    (top_ngram_chars: for n = 2, 3, ..); of its characters in n-grams that occurred before
    (duplicate_ngram_chars: for n = 5, 6, ..). Words stand between white space, paragraphs between
    blank lines; blank lines are none. A most frequent n-gram that occurs once does not count.

    Shares are in [0, 1]; of a list, as many n are looked at as it has shares.
    """

    order: ClassVar[int] = 60

    duplicate_lines: float = 0.30
    duplicate_line_chars: float = 0.20
    duplicate_paragraphs: float = 0.30
    duplicate_paragraph_chars: float = 0.20
    top_ngram_chars: list = field(default_factory=lambda: [0.20, 0.18, 0.16])
    duplicate_ngram_chars: list = field(
        default_factory=lambda: [0.15, 0.14, 0.13, 0.12, 0.11, 0.10]
    )

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            key = f"cleaning.gopher_repetition.{name}"
            shares = [value]
            if name.endswith("ngram_chars"):
                shares = as_list(key, value, int | float, [0.2, 0.18])
            for share in shares:
                checks.closed_fraction(key, share, 0.2)

    def broken_rule(self, text: str) -> str | None:
        text = text.strip()
        for what, share, char_share, separator in (
            (
                "paragraphs",
                self.duplicate_paragraphs,
                self.duplicate_paragraph_chars,
                PARAGRAPHS,
            ),
            ("lines", self.duplicate_lines, self.duplicate_line_chars, LINES),
        ):
            parts = separator.split(text)
            n, n_chars = repeated(parts)
            if n > share * len(parts):
                return f"repeated {what}"
            if n_chars > char_share * len(text):
                return f"characters of repeated {what}"
        return self._of_ngrams(text.split(), len(text))

    def _of_ngrams(self, words: list[str], n_chars: int) -> str | None:
        for n, share in enumerate(self.top_ngram_chars, FIRST_TOP):
            if top_ngram_chars(words, n) > share * n_chars:
                return f"most frequent {n}-gram"
        for n, share in enumerate(self.duplicate_ngram_chars, FIRST_DUPLICATE):
            found = duplicate_ngram_chars(words, n)
            if found > share * n_chars:
                return f"repeated {n}-grams"
            if not found:  # nor are there longer ones
                return None
        return None

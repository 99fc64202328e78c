"""The rules of quality for the documents of Gopher."""

from dataclasses import dataclass, field
from typing import ClassVar

from lightning_transformer.data.cleaning.base import TextFilter, as_list
from lightning_transformer.nn import checks

BULLETS = ("•", "‣", "▪", "-", "*")
ELLIPSES = ("...", "…")
AROUND = ".,;:!?\"'()[]“”‘’"
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


@dataclass
class GopherQuality(TextFilter):
    """Removes a document with a text that breaks one of these rules (Rae et al. 2021, A.1.1).

    Words stand between white space; those without a letter or digit, such as a dash, count for
    min_alphabetic alone. A text has min_words to max_words; min_word_length to
    max_word_length characters in a word on average; at most max_symbols # per word, and likewise
    ellipses (... or …); at most the share max_bullet_lines of lines that begin with a bullet
    (• ‣ ▪ - *) and max_ellipsis_lines of lines that end in an ellipsis, among lines that are not
    blank; at least the share min_alphabetic of words with a letter; at least min_stop_words of
    stop_words, in any case and with punctuation around.

    Shares are in [0, 1]. Raises ValueError for bounds that exclude each other.
    """

    order: ClassVar[int] = 50

    min_words: int = 50
    max_words: int = 100_000
    min_word_length: float = 3.0
    max_word_length: float = 10.0
    max_symbols: float = 0.1
    max_bullet_lines: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_alphabetic: float = 0.8
    min_stop_words: int = 2
    stop_words: list = field(default_factory=lambda: list(STOP_WORDS))

    def __post_init__(self) -> None:
        key = "cleaning.gopher_quality"
        checks.at_least(f"{key}.min_words", self.min_words, 1, 50)
        for name, least, example in (("words", self.min_words, 100_000), ("word_length", 0, 10.0)):
            least = max(least, getattr(self, f"min_{name}"))
            checks.number_from(f"{key}.max_{name}", getattr(self, f"max_{name}"), least, example)
        checks.non_negative(f"{key}.min_word_length", self.min_word_length, 3.0)
        checks.non_negative(f"{key}.max_symbols", self.max_symbols, 0.1)
        for name in ("max_bullet_lines", "max_ellipsis_lines", "min_alphabetic"):
            checks.closed_fraction(f"{key}.{name}", getattr(self, name), 0.5)
        checks.at_least(f"{key}.min_stop_words", self.min_stop_words, 0, 2)
        self.stop_words = as_list(f"{key}.stop_words", self.stop_words, str, ["the", "and"])
        if len({word.lower() for word in self.stop_words}) < self.min_stop_words:
            raise ValueError(
                f"{key}.min_stop_words={self.min_stop_words} must be at most the number of "
                f"different stop_words, {len(set(self.stop_words))}"
            )

    def broken_rule(self, text: str) -> str | None:
        parts = text.split()
        words = [part for part in parts if any(map(str.isalnum, part))]
        n = len(words)
        if n < self.min_words:
            return f"fewer than {self.min_words} words"
        if n > self.max_words:
            return f"more than {self.max_words} words"
        if not self.min_word_length <= sum(map(len, words)) / n <= self.max_word_length:
            return "mean word length"
        if max(text.count("#"), sum(map(text.count, ELLIPSES))) > self.max_symbols * n:
            return "symbols per word"
        return self._of_lines(text) or self._of_words(parts)

    def _of_lines(self, text: str) -> str | None:
        lines = [line for line in map(str.strip, text.splitlines()) if line]
        n_bullets = sum(line.startswith(BULLETS) for line in lines)
        if n_bullets > self.max_bullet_lines * len(lines):
            return "bullet lines"
        n_ellipses = sum(line.endswith(ELLIPSES) for line in lines)
        return "ellipsis lines" if n_ellipses > self.max_ellipsis_lines * len(lines) else None

    def _of_words(self, parts: list[str]) -> str | None:
        n_letters = sum(any(map(str.isalpha, part)) for part in parts)
        if n_letters < self.min_alphabetic * len(parts):
            return "alphabetic words"
        wanted = {word.lower() for word in self.stop_words}
        if len(wanted.intersection(w.lower().strip(AROUND) for w in parts)) < self.min_stop_words:
            return "stop words"
        return None

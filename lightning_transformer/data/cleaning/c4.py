"""The rules by which lines and pages of the web became C4."""

import re
from dataclasses import dataclass
from typing import ClassVar

from lightning_transformer.data.cleaning.base import Dropped, Stage, Texts
from lightning_transformer.nn import checks

TERMINAL = (".", "!", "?", '"', "'")
SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*(?=\s|$)")
CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
POLICIES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


@dataclass
class C4(Stage):
    """Keeps lines that look like sentences, and texts with enough of them (Raffel et al. 2020).

    A line stays if it ends in one of . ! ? " ' but not in ..., has min_words_per_line words
    between white space, none of them longer than max_word_length characters, and speaks neither of
    JavaScript nor of cookies or terms of use. Citation marks such as [1] go, also before a line's
    end is judged. A document goes if a text of it holds "lorem ipsum" or { in a line that ends and
    is long enough as above, or has fewer than min_sentences in the lines that stay. The list of bad
    words of the paper is not applied.

    A sentence ends at . ! or ? before white space or the end of the line, and each line has one at
    least; the paper's own splitter learns abbreviations, so that it finds fewer.
    min_sentences, min_words_per_line, max_word_length: at least 1; datatrove has 5, 3, 1000.
    """

    order: ClassVar[int] = 20
    changes_text: ClassVar[bool] = True

    min_sentences: int = 3
    min_words_per_line: int = 5
    max_word_length: int = 1000

    def __post_init__(self) -> None:
        checks.at_least("cleaning.c4.min_sentences", self.min_sentences, 1, 3)
        checks.at_least("cleaning.c4.min_words_per_line", self.min_words_per_line, 1, 5)
        checks.at_least("cleaning.c4.max_word_length", self.max_word_length, 1, 1000)

    def clean(self, split: str, texts: Texts) -> Texts | Dropped:
        kept: list[str] = []
        for text in texts:
            cleaned = self._cleaned(text)
            if isinstance(cleaned, Dropped):
                return cleaned
            kept.append(cleaned)
        return tuple(kept)

    def _cleaned(self, text: str) -> str | Dropped:
        lines, n_sentences = [], 0
        for line in text.splitlines():
            line, words = CITATION.sub("", line.strip()), line.split()
            if not self._is_sentence(line, words):
                continue
            lower = line.lower()
            if "lorem ipsum" in lower:
                return Dropped("lorem ipsum")
            if "{" in line:
                return Dropped("curly bracket")
            if "javascript" in lower or any(policy in lower for policy in POLICIES):
                continue
            n_sentences += max(1, len(SENTENCE_END.findall(line)))
            lines.append(line)
        if n_sentences < self.min_sentences:
            return Dropped(f"fewer than {self.min_sentences} sentences")
        return "\n".join(lines)

    def _is_sentence(self, line: str, words: list[str]) -> bool:
        return (
            line.endswith(TERMINAL)
            and not line.endswith("...")
            and len(words) >= self.min_words_per_line
            and max(map(len, words)) <= self.max_word_length
        )

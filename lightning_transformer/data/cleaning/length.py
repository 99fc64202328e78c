"""Texts of a length within bounds."""

from dataclasses import dataclass
from typing import ClassVar

from lightning_transformer.data.cleaning.base import TextFilter
from lightning_transformer.nn import checks


@dataclass
class Length(TextFilter):
    """Removes a document with a text of fewer or more characters (code points of Unicode).

    min_chars: at least 1. max_chars: at least min_chars; None = no limit.
    """

    order: ClassVar[int] = 30

    min_chars: int = 100
    max_chars: int | None = None

    def __post_init__(self) -> None:
        checks.at_least("cleaning.length.min_chars", self.min_chars, 1, 100)
        if self.max_chars is not None and self.max_chars < self.min_chars:
            raise ValueError(
                f"cleaning.length.max_chars={self.max_chars} must be at least min_chars="
                f"{self.min_chars}, for example {10 * self.min_chars}"
            )

    def broken_rule(self, text: str) -> str | None:
        if len(text) < self.min_chars:
            return f"fewer than {self.min_chars} characters"
        if self.max_chars is not None and len(text) > self.max_chars:
            return f"more than {self.max_chars} characters"
        return None

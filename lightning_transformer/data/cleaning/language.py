"""Documents in given languages, as told by a function of the user."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from lightning_transformer.data.cleaning.base import TextFilter, as_list


@dataclass
class Language(TextFilter):
    """Removes a document with a text that is in another language, or not surely in one of these.

    detect: a function of yours that returns the code of a text's language and how sure that is.
    codes: codes as the function has them; at least one. min_score: least score, in its own unit.
    Raises ValueError where the function returns something else.
    """

    order: ClassVar[int] = 70

    detect: Callable[[str], tuple[str, float]]
    codes: list = field(default_factory=lambda: ["en"])
    min_score: float = 0.65

    def __post_init__(self) -> None:
        key = "cleaning.language"
        self.codes = as_list(f"{key}.codes", self.codes, str, ["en", "de"])
        if not self.codes:
            raise ValueError(
                f"{key}.codes=[] leaves no language; use for example '{key}.codes=[en]'"
            )
        if not callable(self.detect):
            raise ValueError(
                f"{key}.detect={self.detect!r} is no function; use "
                f"{key}.detect._target_=my_module.detect"
            )

    def broken_rule(self, text: str) -> str | None:
        told = self.detect(text)
        if not (isinstance(told, tuple | list) and len(told) == 2 and isinstance(told[0], str)):
            raise ValueError(
                f"cleaning.language.detect returns {told!r}; it must return a code and a score, "
                'for example ("en", 0.9)'
            )
        code, score = told
        if code not in self.codes:
            return f"language {code}"
        return f"score below {self.min_score:g}" if score < self.min_score else None

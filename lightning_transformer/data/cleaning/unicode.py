"""One way to write each character."""

import unicodedata
from dataclasses import dataclass
from typing import Any, ClassVar

from lightning_transformer.data.cleaning.base import Dropped, Stage, Texts

FORMS = ("NFC", "NFD", "NFKC", "NFKD")


@dataclass
class Unicode(Stage):
    """Texts in a normal form of Unicode (Standard Annex 15), in which equal characters are equal.

    form: NFC composes (e and a combining accent become é), NFD decomposes; NFKC and NFKD also
    replace what looks alike, such as a ligature fi by f and i, and lose that difference.
    Raises ValueError for another form.
    """

    order: ClassVar[int] = 10
    changes_text: ClassVar[bool] = True

    form: str = "NFC"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(
                f"cleaning.unicode.form={self.form} must be {', '.join(FORMS[:-1])} or "
                f"{FORMS[-1]}, for example NFC"
            )

    def clean(self, split: str, texts: Texts) -> Texts | Dropped:
        form: Any = self.form  # one of the literals that it is annotated with
        return tuple(unicodedata.normalize(form, text) for text in texts)

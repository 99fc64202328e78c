"""Copy the letters that stand among blanks."""

from dataclasses import dataclass

from numpy.random import Generator

from lightning_transformer.data.sources.generated.base import Drawn, Generated
from lightning_transformer.nn import checks

LETTERS = "abcdefgh"

BLANK = "."


@dataclass(kw_only=True, eq=False)
class SelectiveCopy(Generated):
    """Letters at places by chance among blanks, to be copied without these (Gu & Dao 2023).

    a..b.c gives abc. Lengths are of letters; n_blanks stand among them, >= 1, wherever the letters
    are, so that where a letter has to go depends on what is before it.
    """

    name = "selective_copy"

    max_length: int = 8
    n_blanks: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least("data.n_blanks", self.n_blanks, 1, 16)

    def draw(self, random: Generator, length: int) -> Drawn:
        text = "".join(LETTERS[i] for i in random.integers(len(LETTERS), size=length))
        found = [BLANK] * (length + self.n_blanks)
        places = sorted(random.choice(len(found), size=length, replace=False).tolist())
        for place, letter in zip(places, text, strict=True):
            found[place] = letter
        return Drawn("".join(found), text)

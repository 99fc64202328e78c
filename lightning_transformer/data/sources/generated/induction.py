"""What stood behind the last letter when it was there before?"""

from dataclasses import dataclass

from numpy.random import Generator

from lightning_transformer.data.sources.generated.base import Drawn, Generated
from lightning_transformer.nn import checks

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(kw_only=True, eq=False)
class Induction(Generated):
    """A text whose last letter was there once before: say what came next (Olsson et al. 2022).

    dbkfb gives k. Lengths are of letters, all different but the last, so at most 26.
    Raises ValueError for lengths outside 3 .. 26.
    """

    name = "induction"

    min_length: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least("data.min_length", self.min_length, 3, 3)
        longest = self.max_length if self.test_length is None else self.test_length
        checks.between("data.test_length or data.max_length", longest, 3, len(LETTERS))

    def draw(self, random: Generator, length: int) -> Drawn:
        text = "".join(LETTERS[i] for i in random.permutation(len(LETTERS))[: length - 1])
        place = int(random.integers(length - 2))
        return Drawn(text + text[place], text[place + 1])

"""Sort letters."""

from dataclasses import dataclass

from numpy.random import Generator

from lightning_transformer.data.sources.generated.base import Drawn, Generated

LETTERS = "abcdefgh"


@dataclass(kw_only=True, eq=False)
class Sort(Generated):
    """Letters, to be written in their order: cabb gives abbc. Lengths are of letters."""

    name = "sort"

    def draw(self, random: Generator, length: int) -> Drawn:
        text = "".join(LETTERS[i] for i in random.integers(len(LETTERS), size=length))
        return Drawn(text, "".join(sorted(text)))

"""Copy a text."""

from dataclasses import dataclass

from numpy.random import Generator

from lightning_transformer.data.sources.generated.base import Drawn, Generated

LETTERS = "abcdefgh"


@dataclass(kw_only=True, eq=False)
class Copy(Generated):
    """Letters to be written again, abcb as abcb (Graves et al. 2014). Lengths are of letters."""

    name = "copy"

    def draw(self, random: Generator, length: int) -> Drawn:
        text = "".join(LETTERS[i] for i in random.integers(len(LETTERS), size=length))
        return Drawn(text, text)

"""Write a text backwards."""

from dataclasses import dataclass

from numpy.random import Generator

from lightning_transformer.data.sources.generated.base import Drawn, Generated

LETTERS = "abcdefgh"


@dataclass(kw_only=True, eq=False)
class Reverse(Generated):
    """Letters, to be written backwards: abcb gives bcba. Lengths are of letters."""

    name = "reverse"

    def draw(self, random: Generator, length: int) -> Drawn:
        text = "".join(LETTERS[i] for i in random.integers(len(LETTERS), size=length))
        return Drawn(text, text[::-1])

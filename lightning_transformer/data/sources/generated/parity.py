"""Is the number of ones odd?"""

from dataclasses import dataclass

from numpy.random import Generator

from lightning_transformer.data.sources.generated.base import Drawn, Generated


@dataclass(kw_only=True, eq=False)
class Parity(Generated):
    """Zeros and ones, and after each whether the ones so far are odd: 0110 gives 0100.

    The steps are part of the answer, each of which follows from one digit and the step before; the
    last alone is hard for attention of fixed depth (Hahn 2020). Lengths are of digits.
    """

    name = "parity"

    min_length: int = 4
    max_length: int = 12

    def draw(self, random: Generator, length: int) -> Drawn:
        digits = random.integers(2, size=length)
        steps = digits.cumsum() % 2
        return Drawn("".join(map(str, digits)), "".join(map(str, steps)))

"""Add whole numbers, digit by digit."""

from dataclasses import dataclass

from numpy.random import Generator

from lightning_transformer.data.sources.generated.base import Drawn, Generated


@dataclass(kw_only=True, eq=False)
class Addition(Generated):
    """Two numbers of equally many digits, to be added: 95+17 gives 112, written backwards as 211.

    The least digit comes first in the answer, so that each digit follows from two digits and a
    carry (Lee et al. 2023). Lengths are of digits of each number, zeros in front included.
    """

    name = "addition"

    max_length: int = 4
    seq_len: int = 32

    def draw(self, random: Generator, length: int) -> Drawn:
        digits = random.integers(10, size=(2, length))
        one, other = ("".join(map(str, row)) for row in digits.tolist())
        total = str(int(one) + int(other)).zfill(length + 1)
        return Drawn(f"{one}+{other}", total[::-1])

"""Add numbers modulo another."""

from dataclasses import dataclass

from numpy.random import Generator

from lightning_transformer.data.sources.generated.base import Drawn, Generated
from lightning_transformer.nn import checks

MARKS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(kw_only=True, eq=False)
class ModularAddition(Generated):
    """Numbers below a modulus, a character each, to be added modulo it: 3b modulo 13 gives 1.

    Numbers are written 0 .. 9, a .. z. With two numbers there are modulus^2 questions, of which a
    tenth is of the test: a model that learns the others by heart is at chance there, until it finds
    the rule (Power et al. 2022). Lengths are of numbers. modulus: 2 .. 36.
    """

    name = "modular_addition"

    seq_len: int = 16
    min_length: int = 2
    max_length: int = 2
    modulus: int = 31

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.between("data.modulus", self.modulus, 2, len(MARKS))

    def draw(self, random: Generator, length: int) -> Drawn:
        numbers = random.integers(self.modulus, size=length)
        total = int(numbers.sum()) % self.modulus
        return Drawn("".join(MARKS[i] for i in numbers), MARKS[total])

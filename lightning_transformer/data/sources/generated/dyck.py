"""Close all open brackets."""

from dataclasses import dataclass

from numpy.random import Generator

from lightning_transformer.data.sources.generated.base import Drawn, Generated
from lightning_transformer.nn import checks

OPEN, CLOSE = "([{<", ")]}>"


@dataclass(kw_only=True, eq=False)
class Dyck(Generated):
    """The start of a word of nested brackets of k kinds, to be ended: ([]{ gives }).

    The shortest end is the only one (Dyck-k, Chomsky & Schuetzenberger 1963; Hahn 2020). Lengths
    are of brackets in the question, which leaves at least one open. kinds: k, 1 .. 4.
    """

    name = "dyck"

    min_length: int = 4
    kinds: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.between("data.kinds", self.kinds, 1, len(OPEN))

    def draw(self, random: Generator, length: int) -> Drawn:
        text, stack = "", ""
        for place in range(length):
            last_chance = place == length - 1 and len(stack) <= 1
            if stack and not last_chance and random.random() < 0.5:
                text, stack = text + stack[-1], stack[:-1]
            else:
                kind = int(random.integers(self.kinds))
                text, stack = text + OPEN[kind], stack + CLOSE[kind]
        return Drawn(text, stack[::-1])

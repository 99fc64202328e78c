"""Which digit stood behind each of several letters?"""

from dataclasses import dataclass

from numpy.random import Generator

from lightning_transformer.data.sources.generated.base import Drawn, Generated
from lightning_transformer.nn import checks

KEYS = "abcdefghijklmnopqrstuvwxyz"
VALUES = "0123456789"


@dataclass(kw_only=True, eq=False)
class Recall(Generated):
    """Letters with a digit behind each, then the letters again: say each one's digit.

    a3b0c7, then b.c.a., whose points are the digits 0, 7 and 3: multi-query associative recall
    (Arora et al. 2023). The letters of the answer are given, its digits are asked. A layer that
    looks for a letter finds it, but not what is behind it: that takes a layer before, in which each
    digit looks at the letter before it. Lengths are of pairs, at most 26. With one layer the best
    is to say one of the digits that there are.
    Raises ValueError for more than 26 pairs.
    """

    name = "recall"

    min_length: int = 2
    max_length: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        longest = self.max_length if self.test_length is None else self.test_length
        checks.between("data.test_length or data.max_length", longest, 1, len(KEYS))

    def draw(self, random: Generator, length: int) -> Drawn:
        keys = [KEYS[i] for i in random.permutation(len(KEYS))[:length]]
        value = {key: VALUES[int(random.integers(len(VALUES)))] for key in keys}
        asked = [keys[i] for i in random.permutation(length)]
        question = "".join(key + value[key] for key in keys)
        return Drawn(question, "".join(key + value[key] for key in asked), "01" * length)

"""Source sort: the answer follows from the question."""

from __future__ import annotations

import itertools
from collections import Counter

from lightning_transformer.data.sources.generated.sort import Sort
from tests.unit.data.sources.generated.made import drawn


def test_the_answer_is_the_right_one() -> None:
    for question, answer, _ in drawn(Sort):
        assert all(a <= b for a, b in itertools.pairwise(answer))
        assert Counter(answer) == Counter(question)

"""Which of a model's own answers become a pair."""

from __future__ import annotations

import numpy as np
import pytest

from lightning_transformer.training.start.own_answers import first_wrong


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([[1, 2], [3, 4], [5, 6]], [3, 4]),
        ([[3, 4], [1, 2]], [3, 4]),
        ([[3, 4], [5, 6]], []),  # none is right
        ([[1, 2], [1, 2]], []),  # none is wrong
        ([[1, 2], [], [3, 4, 5], [7]], [7]),  # an empty one, and one that has not ended
    ],
)
def test_the_first_wrong_answer_where_one_is_right(
    answers: list[list[int]], expected: list[int]
) -> None:
    found = first_wrong(np.array([1, 2], np.int32), answers, longest=3)
    assert (found.tolist(), found.dtype) == (expected, np.int32)

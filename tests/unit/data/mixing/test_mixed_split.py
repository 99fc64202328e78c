"""Splits of several parts: every example once, labels by one numbering, losses by part."""

from __future__ import annotations

import numpy as np
import pytest

from lightning_transformer.data.encode import NO_TAG
from lightning_transformer.data.examples import Labelled, Pair, Tagged, Tokens
from lightning_transformer.data.mixing.mixed_split import (
    EvaluationMix,
    PartSplits,
    TrainingMix,
    renumbered,
    tokens_per_example,
)
from lightning_transformer.data.mixing.quota import Quota
from lightning_transformer.data.packing.rows import Rows
from lightning_transformer.data.split import ExampleList

UNKNOWN = 99


def numbered(first: int, n: int) -> ExampleList:
    """Example i has i + 1 tokens, all of them first + i."""
    examples = [Labelled(np.full(i + 1, first + i, dtype=np.int32), i % 2) for i in range(n)]
    return ExampleList(examples, n_tokens=n * (n + 1) // 2)


def parts(**numbers) -> PartSplits:
    return PartSplits({"a": numbered(0, 3), "b": numbered(100, 6)}, numbers)


def first_tokens(split) -> list[int]:
    return [int(split.get(i, 0).ids[0]) for i in range(len(split))]


def test_training_numbers_part_after_part() -> None:
    split = TrainingMix(parts(), Quota([1, 1]))
    assert first_tokens(split) == [0, 1, 2, 100, 101, 102, 103, 104, 105]
    assert split.n_tokens == 6 + 21
    assert split.lengths is not None
    assert split.lengths.tolist() == [1, 2, 3, 1, 2, 3, 4, 5, 6]


def test_evaluation_has_each_example_once_and_parts_evenly() -> None:
    split = EvaluationMix(parts(), UNKNOWN)
    found = first_tokens(split)
    assert sorted(found) == [0, 1, 2, 100, 101, 102, 103, 104, 105]
    for third in range(3):  # an example of `a` among each three
        assert sum(n < 100 for n in found[3 * third : 3 * third + 3]) == 1
    assert split.lengths is not None
    assert split.lengths.tolist() == [len(split.get(i, 0).ids) for i in range(9)]
    assert split.documents is not None
    documents = split.documents.tolist()
    assert documents == [[n if n < 100 else n - 97] * 2 for n in found]


def test_documents_are_not_known_where_one_part_does_not_tell() -> None:
    rows = Rows(np.arange(20), seq_len=4, training=False)
    split = EvaluationMix(PartSplits({"a": rows, "b": rows}, {}), UNKNOWN)
    assert split.documents is None
    assert split.lengths is None
    assert len(split) == 10


def test_losses_are_means_over_the_targets_of_a_part() -> None:
    split = EvaluationMix(parts(), UNKNOWN)
    rows = np.zeros(9, dtype=[("loss", "f4"), ("count", "i4"), ("row", "i8"), ("part", "i8")])
    for i in range(9):
        n = len(split.get(i, 0).ids)
        rows[i] = ((2.0 if split.get(i, 0).ids[0] < 100 else 0.5) * n, n, i, -1)
    assert split.losses(rows[::-1]) == {"a": 2.0, "b": 0.5}
    only = rows[[split.get(i, 0).ids[0] >= 100 for i in range(9)]]
    assert split.losses(only) == {"b": 0.5}


def test_labels_get_their_number_among_all() -> None:
    assert renumbered(["x", "y"], ["x", "y", "z"]) is None
    numbers = renumbered(["y", "z"], ["x", "y", "z"])
    assert numbers is not None
    assert numbers.tolist() == [1, 2]
    split = TrainingMix(parts(b=numbers), Quota([1, 1]))
    assert [split.get(i, 0).label for i in range(9)] == [0, 1, 0, 1, 2, 1, 2, 1, 2]
    tagged = ExampleList([Tagged(np.arange(3), np.array([1, NO_TAG, 0], dtype=np.int16))], 3)
    tags = PartSplits({"a": tagged}, {"a": numbers}).get(0, 0, 0).tags
    assert (tags.tolist(), tags.dtype) == ([2, NO_TAG, 1], np.int16)


def test_tokens_of_an_example_are_those_that_are_counted() -> None:
    assert tokens_per_example(Rows(np.arange(20), seq_len=4, training=True)) == 4
    pairs = [Pair(np.arange(2), np.arange(3)), Pair(np.arange(1), np.arange(1))]
    assert tokens_per_example(ExampleList(pairs, 7)).tolist() == [5, 2]
    marked = [Pair(np.arange(2), np.arange(3), np.ones(3, dtype=bool))]
    assert tokens_per_example(ExampleList(marked, 5)).tolist() == [5]

    class Fresh:
        """Other examples in each pass."""

    assert tokens_per_example(Fresh()) is None  # type: ignore[arg-type]


def test_unknown_tokens_of_all_parts_stand_for_their_bytes() -> None:
    """Two of 3 bytes and four of 1.5: a mean of 2."""
    one = Rows(np.array([1, UNKNOWN, UNKNOWN, 5]), seq_len=2, training=False)
    two = Rows(np.full(4, UNKNOWN), seq_len=2, training=False)
    one.unknown_bytes, two.unknown_bytes = 3.0, 1.5
    none = Rows(np.arange(4), seq_len=2, training=False)
    split = EvaluationMix(PartSplits({"a": one, "b": two, "c": none}, {}), UNKNOWN)
    assert split.unknown_bytes == pytest.approx(2.0)
    assert EvaluationMix(PartSplits({"c": none}, {}), UNKNOWN).unknown_bytes is None


def test_far_examples_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places are computed in blocks."""
    from lightning_transformer.data.mixing import mixed_split

    monkeypatch.setattr(mixed_split, "BLOCK", 2)
    rows = [ExampleList([Tokens(np.full(2, 10 * p + i)) for i in range(9)], 9) for p in range(3)]
    split = EvaluationMix(PartSplits(dict(zip("abc", rows, strict=True)), {}), UNKNOWN)
    wanted = [p * 10 + i for p in range(3) for i in range(9)]
    assert sorted(int(split.get(i, 0).ids[0]) for i in reversed(range(27))) == wanted

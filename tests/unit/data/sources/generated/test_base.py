"""What generated sources promise: fresh samples by number, splits apart, lengths as asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lightning_transformer.data.sources.generated.copy import Copy
from lightning_transformer.data.sources.generated.modular_addition import ModularAddition
from tests.unit.data.sources.generated.made import made


def texts(source: Any, split: str, epoch: int) -> list[str]:
    return [source.sample(split, epoch, index).question for index in range(40)]


def test_a_sample_follows_from_stream_pass_and_number_alone() -> None:
    first = texts(made(Copy), "train", 2)
    again = made(Copy, batch_size=7, n_train=99)
    assert [again.sample("train", 2, i).question for i in (31, 5)] == [first[31], first[5]]
    others = [texts(made(Copy, stream_seed=2), "train", 2), texts(made(Copy), "train", 3)]
    assert all(first != other for other in others)


def test_each_pass_has_fresh_samples_and_the_first_is_what_was_read() -> None:
    source = made(Copy)
    source.prepare()
    train, words = source.splits["train"], source.vocabulary
    read = [record.texts[0] for record in source.read()["train"]]
    assert [words.decode(train.get(i, 0).source) for i in range(60)] == read
    later = [words.decode(train.get(i, 5).source) for i in range(40)]
    assert later == texts(source, "train", 5) != read[:40]
    assert np.array_equal(train.get(3, 5).source, train.get(3, 5).source)


def test_no_question_is_in_two_splits_however_few_there_are() -> None:
    source = made(ModularAddition, modulus=7, n_train=400, n_eval=100)
    records = source.read()
    found = {split: {r.texts[0] for r in rows} for split, rows in records.items()}
    later = {source.sample("train", 9, i).question for i in range(300)}
    assert not (found["train"] | later) & (found["val"] | found["test"])
    assert not found["val"] & found["test"]
    assert len(found["test"]) == len(records["test"]), "equal ones count once"


def test_longer_questions_of_the_test_start_above_those_of_training() -> None:
    source = made(Copy, min_length=2, max_length=6, test_length=9)
    assert {len(text) for text in texts(source, "train", 0)} <= {*range(2, 7)}
    assert {len(text) for text in texts(source, "test", 0)} == {7, 8, 9}


def test_the_floor_is_that_of_the_right_answer() -> None:
    assert made(Copy).floor() == {"loss": 0.0, "accuracy": 1.0, "exact_match": 1.0}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"min_length": 0}, r"data\.min_length=0 must be at least 1"),
        ({"max_length": 3, "min_length": 4}, r"data\.max_length=3 must be at least 4"),
        ({"test_length": 16}, r"data\.test_length=16 must be at least 17"),
        ({"n_train": 1}, r"data\.n_train=1 must be at least 2"),
        ({"n_eval": 1}, r"data\.n_eval=1 must be at least 2"),
        ({"stream_seed": -1}, r"data\.stream_seed=-1 must be at least 0"),
    ],
)
def test_refuses(options: dict[str, int], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}"):
        made(Copy, **options)


def test_refuses_too_few_questions_and_too_long_ones() -> None:
    with pytest.raises(ValueError, match=r"^data\.max_length=1: too few questions of copy"):
        made(Copy, max_length=1).read()
    with pytest.raises(ValueError, match=r"^data\.seq_len=5: a train question of copy has \d+ ch"):
        made(Copy, seq_len=5).read()

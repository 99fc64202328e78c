"""Source sums: every question once, its answer the right one."""

from __future__ import annotations

from typing import Any

import pytest

from lightning_transformer.data.sources.generated.sums import Sums
from lightning_transformer.data.tokenizers.bytes import Bytes


def made(**options: Any) -> Sums:
    return Sums(tokenizer=Bytes(), **options)


def test_each_question_is_in_one_split_once_and_its_answer_is_right() -> None:
    found = {split: [r.texts for r in rows] for split, rows in made().read().items()}
    assert {split: len(rows) for split, rows in found.items()} == {
        "train": 8000,
        "val": 1000,
        "test": 1000,
    }
    everything = [texts for rows in found.values() for texts in rows]
    assert len({question for question, _ in everything}) == len(everything) == 10_000
    for question, answer in everything:
        one, other = question.removesuffix("=").split("+")
        assert (len(one), len(other), len(answer)) == (2, 2, 3)
        assert int(answer) == int(one) + int(other)


def test_fewer_training_questions_are_the_first_ones_and_leave_the_test_as_it_is() -> None:
    few, many = made(n_train=50).read(), made().read()
    assert few["train"] == many["train"][:50]
    assert few["test"] == many["test"]
    assert made(n_train=50, stream_seed=2).read()["test"] != few["test"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"n_train": 1}, r"data\.n_train=1 must be at least 2"),
        ({"n_eval": 1}, r"data\.n_eval=1 must be at least 2"),
        ({"stream_seed": -1}, r"data\.stream_seed=-1 must be at least 0"),
        ({"n_train": 8001}, r"data\.n_train=8001 and two times data\.n_eval=1000 are above"),
    ],
)
def test_refuses(options: dict[str, int], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}"):
        made(**options)


def test_refuses_questions_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^data\.seq_len=5: a \w+ question of sums has 6 tokens"):
        made(n_train=9, n_eval=2, seq_len=5).prepare()

"""Source order: what the texts are, that they never change, and what their labels say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.sources.order import FILLER, Order
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    return {"n_train": 40, "n_eval": 10}


def made(**sizes: int) -> Order:
    return Order(tokenizer=Bytes(), **{"n_train": 200, "n_eval": 50, **sizes})


def test_texts_have_each_marker_once_and_say_which_comes_first() -> None:
    records = made().read()
    assert {split: len(found) for split, found in records.items()} == {
        "train": 200,
        "val": 50,
        "test": 50,
    }
    for found in records.values():
        for record in found:
            (text,) = record.texts
            assert len(text) == 16
            assert Counter(text)["A"] == Counter(text)["B"] == 1
            assert set(text) <= {*FILLER, "A", "B"}
            assert record.note == ("A" if text.index("A") < text.index("B") else "B")
        assert Counter(record.note for record in found)["A"] == len(found) / 2


def test_splits_differ_and_do_not_change() -> None:
    records = made().read()
    texts = {split: {record.texts for record in found} for split, found in records.items()}
    assert not texts["train"] & texts["test"]
    assert records == made().read()
    assert [r.texts for r in made(n_eval=20).read()["val"]] == [r.texts for r in records["val"]][
        :20
    ]


def test_examples_are_labelled_rows() -> None:
    data = made()
    data.prepare()
    example = first_examples(data, "train", 1)[0]
    assert len(example.ids) == 16
    assert data.labels == ["A", "B"]


@pytest.mark.parametrize("key", ["n_train", "n_eval", "seq_len"])
def test_sizes_have_a_least(key: str) -> None:
    with pytest.raises(ValueError, match=rf"^data\.{key}=1 must be at least 2"):
        made(**{key: 1})

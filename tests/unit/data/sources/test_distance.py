"""Source distance: what the texts are, that they never change, and what their numbers say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.sources.distance import FILLER, Distance
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    return {"n_train": 40, "n_eval": 10}


def made(**sizes: int) -> Distance:
    return Distance(tokenizer=Bytes(), **{"n_train": 900, "n_eval": 50, **sizes})


def test_the_number_is_how_far_apart_the_two_letters_are() -> None:
    records = made().read()
    assert {split: len(found) for split, found in records.items()} == {
        "train": 900,
        "val": 50,
        "test": 50,
    }
    for found in records.values():
        for record in found:
            (text,) = record.texts
            assert len(text) == 16
            assert set(text) <= {*FILLER, "A"}
            assert Counter(text)["A"] == 2
            assert record.note == (text.rindex("A") - text.index("A")) / 15
    # Each of 15 distances is as likely: 60 of 900, standard deviation 7.5.
    counts = Counter(record.note for record in records["train"])
    assert len(counts) == 15
    assert all(30 <= count <= 90 for count in counts.values())


def test_splits_differ_and_do_not_change() -> None:
    records = made().read()
    assert not {r.texts for r in records["train"]} & {r.texts for r in records["test"]}
    assert records == made().read()


def test_examples_are_rows_with_a_number() -> None:
    data = made()
    data.prepare()
    example = first_examples(data, "train", 1)[0]
    assert len(example.ids) == 16
    assert 0 < example.label <= 1
    assert list(data.labels) == []


@pytest.mark.parametrize(("key", "least"), [("n_train", 2), ("n_eval", 2), ("seq_len", 3)])
def test_sizes_have_a_least(key: str, least: int) -> None:
    with pytest.raises(ValueError, match=rf"^data\.{key}=1 must be at least {least}"):
        made(**{key: 1})

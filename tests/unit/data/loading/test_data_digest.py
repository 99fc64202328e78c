"""The digest changes with the text, its notes and its splits, and with nothing else."""

from __future__ import annotations

import pytest

from lightning_transformer.data.loading.data_digest import DataIdentity, identify
from lightning_transformer.data.split import Record

RECORDS = {"train": [Record(("ab", "c"), "x"), Record(("dé",))], "test": [Record(("f",))]}


def digest(records) -> str:
    return identify("name", records, 3).sha256


def test_counts_bytes_and_keeps_name_and_tokens():
    identity = identify("name", RECORDS, 3)
    assert identity == DataIdentity("name", digest(RECORDS), 7, 3)
    assert len(identity.sha256) == 64


def test_the_order_of_the_splits_in_the_dict_does_not_matter():
    assert digest(dict(reversed(RECORDS.items()))) == digest(RECORDS)


@pytest.mark.parametrize(
    "other",
    [
        {"train": [Record(("ab", "c"), "y"), Record(("dé",))], "test": [Record(("f",))]},
        {"train": [Record(("a", "bc"), "x"), Record(("dé",))], "test": [Record(("f",))]},
        {"train": [Record(("ab", "c"), "x"), Record(("dè",))], "test": [Record(("f",))]},
        {"train": [Record(("dé",)), Record(("ab", "c"), "x")], "test": [Record(("f",))]},
        {"train": [Record(("ab", "c"), "x")], "test": [Record(("dé",)), Record(("f",))]},
        {"train": [Record(("ab", "c"), "x"), Record(("dé",))], "val": [Record(("f",))]},
        {"train": [Record(("ab", "c"), "x"), Record(("dé",))]},
    ],
)
def test_any_change_of_content_changes_the_digest(other):
    assert digest(other) != digest(RECORDS)


def test_moving_a_record_to_the_next_split_changes_the_digest():
    a, b, c = (Record((text,)) for text in "abc")
    assert digest({"train": [a, b], "val": [c]}) != digest({"train": [a], "val": [b, c]})
    assert digest({"train": [a], "val": [b]}) != digest({"train": [a], "west": [b]})

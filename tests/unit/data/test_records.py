"""Records that are read anew each time."""

from __future__ import annotations

from lightning_transformer.data.holdout import by_first_text
from lightning_transformer.data.records import Records, split_by_hash
from lightning_transformer.data.split import Record

RECORDS = [Record((f"text {i % 70}", str(i))) for i in range(100)]


def test_each_iteration_reads_again():
    calls = []

    def read():
        calls.append(1)
        return iter(RECORDS)

    records = Records(read)
    assert calls == []
    assert list(records) == list(records) == RECORDS
    assert len(calls) == 2


def test_splits_are_those_of_records_in_memory():
    for fractions in ((0.2, 0.3), (0.0, 0.3), (0.0, 0.0)):
        found = split_by_hash(lambda: iter(RECORDS), *fractions)
        assert {s: list(r) for s, r in found.items()} == by_first_text(RECORDS, *fractions)

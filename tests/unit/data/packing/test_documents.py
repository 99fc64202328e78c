"""Packing option documents."""

from __future__ import annotations

import numpy as np

from lightning_transformer.data.packing.documents import Documents
from lightning_transformer.data.packing.stream import Stream

TEXTS = [np.array([1, 2]), np.array([3, 4, 5]), np.array([6])]


def test_each_token_has_the_number_of_its_document():
    rows = Documents().pack(TEXTS, seq_len=4, eos_id=9, training=False)
    first, second = rows.get(0, 0), rows.get(1, 0)
    # As an input, the end of a document is the start of the next one.
    assert first.ids.tolist() == [9, 1, 2, 9, 3]
    assert first.documents.tolist() == [0, 0, 0, 1, 1]
    assert second.ids.tolist() == [3, 4, 5, 9, 6]
    assert second.documents.tolist() == [1, 1, 1, 2, 2]
    assert rows.get(2, 0).ids.tolist() == [6, 9]


def test_the_rows_are_those_of_stream():
    for training in (True, False):
        a = Documents().pack(TEXTS, seq_len=3, eos_id=9, training=training)
        b = Stream().pack(TEXTS, seq_len=3, eos_id=9, training=training)
        assert len(a) == len(b)
        for i in range(len(a)):
            assert np.array_equal(a.get(i, 1).ids, b.get(i, 1).ids)

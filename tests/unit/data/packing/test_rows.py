"""Rows of the packing options, counted by hand and by property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_transformer.data.packing.rows import Rows, join, phase


def test_join_puts_end_of_document_around_each():
    tokens, ends, _ = join([np.array([1, 2]), np.array([], dtype=int), np.array([3])], eos_id=9)
    assert tokens.tolist() == [9, 1, 2, 9, 9, 3, 9]
    assert ends.tolist() == [3, 4, 6]


@pytest.mark.parametrize(("eos_id", "kind"), [(258, np.uint16), (70_000, np.int32)])
def test_join_uses_the_small_type_where_ids_fit(eos_id, kind):
    tokens, _, _ = join([np.array([eos_id - 3])], eos_id)
    assert tokens.dtype == kind
    assert tokens.tolist() == [eos_id, eos_id - 3, eos_id]


def test_evaluation_rows_by_hand():
    rows = Rows(np.arange(11), seq_len=4, training=False)
    assert [rows.get(i, 0).ids.tolist() for i in range(len(rows))] == [
        [0, 1, 2, 3, 4],
        [4, 5, 6, 7, 8],
        [8, 9, 10],
    ]
    assert rows.get(0, 5).ids.tolist() == [0, 1, 2, 3, 4]
    assert rows.get(0, 0).documents is None


@given(n=st.integers(2, 60), seq_len=st.integers(1, 20))
def test_each_token_but_the_first_is_a_target_once_in_evaluation(n, seq_len):
    rows = Rows(np.arange(n), seq_len=seq_len, training=False)
    targets = [t for i in range(len(rows)) for t in rows.get(i, 0).ids[1:].tolist()]
    assert targets == list(range(1, n))


@given(n=st.integers(2, 60), seq_len=st.integers(1, 20), epoch=st.integers(0, 50))
def test_training_rows_are_whole_and_start_at_the_phase(n, seq_len, epoch):
    rows = Rows(np.arange(n), seq_len=seq_len, training=True)
    assert len(rows) == (n - 1) // seq_len
    for i in range(len(rows)):
        ids = rows.get(i, epoch).ids
        assert len(ids) == seq_len + 1
        assert np.array_equal(ids, np.arange(ids[0], ids[0] + seq_len + 1))
        assert ids[0] == min(phase(epoch, seq_len) + i * seq_len, n - seq_len - 1)


def test_phases_start_at_zero_and_spread():
    phases = [phase(epoch, 128) for epoch in range(10)]
    assert phases[0] == 0
    assert len(set(phases)) == 10
    assert all(0 <= p < 128 for p in phases)
    gaps = np.diff(sorted([*phases, 128]))
    assert gaps.max() <= 24  # ten random ones often leave gaps twice as wide


def test_rows_are_views_of_one_array():
    tokens = np.arange(100)
    rows = Rows(tokens, seq_len=8, training=True)
    assert np.shares_memory(rows.get(3, 2).ids, tokens)


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=8), seq_len=st.integers(1, 12))
def test_document_numbers_count_the_ends_before(lengths, seq_len):
    tokens, ends, _ = join([np.ones(n, dtype=int) for n in lengths], eos_id=5)
    rows = Rows(tokens, seq_len=seq_len, training=False, ends=ends)
    numbers = [number for number, n in enumerate(lengths) for _ in range(n + 1)]
    for i in range(len(rows)):
        row = rows.get(i, 0)
        inputs = numbers[i * seq_len : i * seq_len + seq_len]
        assert row.documents[:-1].tolist() == inputs
        assert rows.documents[i].tolist() == [inputs[0], inputs[-1]]
        # Ends lie between inputs of two documents.
        assert row.ends.tolist() == [k for k in range(1, len(inputs)) if inputs[k] != inputs[k - 1]]

"""Packing option stream."""

from __future__ import annotations

import numpy as np

from lightning_transformer.data.packing.stream import Stream


def test_rows_run_across_documents_without_telling():
    documents = [np.array([1, 2]), np.array([3, 4, 5])]
    rows = Stream().pack(documents, seq_len=3, eos_id=9, training=False)
    assert rows.n_tokens == 7
    assert [rows.get(i, 0).ids.tolist() for i in range(len(rows))] == [
        [9, 1, 2, 9],
        [9, 3, 4, 5],
        [5, 9],
    ]
    assert rows.get(0, 0).documents is None


def test_epochs_differ_in_training_only():
    documents = [np.arange(50)]
    training = Stream().pack(documents, seq_len=8, eos_id=60, training=True)
    evaluation = Stream().pack(documents, seq_len=8, eos_id=60, training=False)
    assert training.get(0, 0).ids[0] != training.get(0, 1).ids[0]
    assert evaluation.get(0, 0).ids[0] == evaluation.get(0, 1).ids[0]

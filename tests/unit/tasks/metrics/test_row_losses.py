"""The loss of each test example: against numbers by hand, the mean of the run, and two ranks."""

import math

import numpy as np
import pytest
import torch

from lightning_transformer.tasks.metrics.row_losses import RowLosses
from tests.helpers.short_runs import short_run


def test_sums_over_the_targets_of_each_row():
    rows = RowLosses(0, 1)
    scores = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0], [0.0, 0.0], [0.0, math.log(3.0)]])
    rows.update(scores, torch.tensor([0, 0, -100, 0]), n_rows=2)
    found = rows.compute()
    assert found["loss"] == pytest.approx([math.log(2) + math.log(4 / 3), math.log(4)], abs=1e-6)
    assert found["count"].tolist() == [2, 1]


def test_rows_of_all_ranks_come_in_the_order_of_the_split():
    """Two ranks of two pairs that share layers: what a gathering over four processes gives."""
    labels = torch.zeros(2, dtype=torch.long)
    parts = []
    for rank, marks in ((0, (1.0, 3.0)), (0, (1.0, 3.0)), (1, (2.0, 4.0)), (1, (2.0, 4.0))):
        part = RowLosses(rank, 2)
        part.update(torch.tensor([[0.0, mark] for mark in marks]), labels, n_rows=2)
        parts.append(part)
    whole = RowLosses(0, 2)
    for name in ("losses", "counts", "numbers"):
        setattr(whole, name, torch.cat([getattr(part, name)[0] for part in parts]))
    found = whole.compute()["loss"]
    assert found == pytest.approx([math.log1p(math.exp(mark)) for mark in (1, 2, 3, 4)], abs=1e-6)


def test_a_run_leaves_them_and_their_mean_is_its_test_loss(tmp_path):
    result = short_run(tmp_path)
    rows = np.load(tmp_path / "document_losses.npy", allow_pickle=False)
    assert result.metrics["test/loss"] == pytest.approx(
        rows["loss"].sum() / rows["count"].sum(), rel=1e-6
    )
    assert len(rows) > 2

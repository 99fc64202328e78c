"""The loss of each test example: against numbers by hand, the mean of the run, and two ranks."""

import math

import numpy as np
import pytest
import torch

from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.split import ExampleList
from lightning_transformer.tasks.base import document_ends
from lightning_transformer.tasks.causal_lm import NextToken
from lightning_transformer.tasks.masked_lm import MaskTokens
from lightning_transformer.tasks.metrics.row_losses import RowLosses, with_documents
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
    for name in ("losses", "counts", "numbers", "parts"):
        setattr(whole, name, torch.cat([getattr(part, name)[0] for part in parts]))
    found = whole.compute()["loss"]
    assert found == pytest.approx([math.log1p(math.exp(mark)) for mark in (1, 2, 3, 4)], abs=1e-6)


LENGTHS = (3, 1, 0, 9, 2)  # of documents, without their ends


def packed(seq_len: int = 4):
    """Rows of documents, some of several and some of a part of one; tokens are their documents."""
    texts = [np.full(n, i, dtype=np.uint16) for i, n in enumerate(LENGTHS)]
    return Stream().pack(texts, seq_len=seq_len, eos_id=9, training=False)


def summed(split, collate, n_ranks: int) -> dict[int, tuple[float, int]]:
    """Document to loss and targets, from all ranks; the loss of a target is its place in a row."""
    whole, parts = RowLosses(0, n_ranks), []
    for rank in range(n_ranks):
        part = RowLosses(rank, n_ranks)
        for i in range(rank, len(split), n_ranks):
            batch = collate([split.get(i, 0)], [7])
            scores = torch.zeros(batch.labels.numel(), 10, dtype=torch.float64)
            scores[torch.arange(len(scores)), batch.labels.flatten().clamp(min=0)] = 1.0
            part.update(scores, batch.labels.flatten(), 1, batch.document_ends)
        parts.append(part)
    for name in ("losses", "counts", "numbers", "parts"):
        setattr(whole, name, torch.cat([torch.cat(getattr(part, name)) for part in parts]))
    rows = with_documents(whole.compute(), split.documents)
    found: dict[int, tuple[float, int]] = {}
    for loss, count, document in rows.tolist():
        before = found.get(document, (0.0, 0))
        found[document] = before[0] + loss, before[1] + count
    return found


@pytest.mark.parametrize("n_ranks", [1, 2, 3])
@pytest.mark.parametrize("seq_len", [1, 4, 7])
def test_the_targets_of_a_row_are_those_of_their_documents(seq_len, n_ranks):
    found = summed(packed(seq_len), NextToken(pad_id=9), n_ranks)
    # The end of a document is a target of its own.
    assert {k: n for k, (_, n) in found.items()} == {k: n + 1 for k, n in enumerate(LENGTHS)}
    each = math.log(9 + math.e) - 1
    assert all(loss == pytest.approx(each * n, rel=1e-5) for loss, n in found.values())


def test_hidden_tokens_are_those_of_their_documents():
    split = packed()
    batch = MaskTokens(1.0, mask_id=8, pad_id=7, n_text=7)(
        [split.get(i, 0) for i in range(5)], [0] * 5
    )
    rows = RowLosses(0, 1)
    rows.update(
        torch.zeros(batch.labels.numel(), 10), batch.labels.flatten(), 5, batch.document_ends
    )
    found = with_documents(rows.compute(), split.documents)
    counts = np.bincount(found["document"], weights=found["count"], minlength=5)
    assert counts.tolist() == list(LENGTHS)  # ends are never hidden


def test_a_document_that_nobody_tells_is_not_known():
    rows = RowLosses(0, 1)
    rows.update(torch.zeros(20, 3), torch.zeros(20, dtype=torch.long), 5)
    known = with_documents(rows.compute(), packed().documents)["document"]
    assert known.tolist() == [0, -1, 3, 3, -1]  # a row within one document tells by itself
    assert with_documents(rows.compute(), None)["document"].tolist() == [-1] * 5
    assert ExampleList([Tokens(np.arange(3))], 3).documents is None
    assert document_ends([Tokens(np.arange(3))], 2) is None


def test_a_run_leaves_them_and_their_mean_is_its_test_loss(tmp_path):
    result = short_run(tmp_path)
    rows = np.load(tmp_path / "document_losses.npy", allow_pickle=False)
    assert result.metrics["test/loss"] == pytest.approx(
        rows["loss"].sum() / rows["count"].sum(), rel=1e-6
    )
    assert len(rows) > 2
    assert set(rows["document"]) == {0}  # one file is one document

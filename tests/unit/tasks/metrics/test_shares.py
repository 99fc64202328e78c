"""Counts by place or length."""

import torch

from lightning_transformer.tasks.metrics.shares import Shares


def test_counts_by_number_and_only_what_counts() -> None:
    shares = Shares(3)
    right, counted = torch.tensor([True, False, True]), torch.tensor([True, True, False])
    shares.update(torch.tensor([0, 2, 1]), right, counted)
    shares.update(torch.tensor([0, 9]), torch.tensor([False, True]), torch.tensor([True, True]))
    assert shares.compute().tolist() == [[1, 2], [0, 0], [1, 2]]

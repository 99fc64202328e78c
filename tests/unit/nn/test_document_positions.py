"""Positions restart where the number of the document changes."""

import torch

from lightning_transformer.nn.document_positions import document_positions


def test_positions_restart_at_documents() -> None:
    documents = torch.tensor([[4, 4, 5, 5, 5, 4], [0, 1, 2, 2, 2, 2]])
    expected = torch.tensor([[0, 1, 0, 1, 2, 0], [0, 0, 0, 1, 2, 3]])
    assert torch.equal(document_positions(torch.arange(6), documents), expected)

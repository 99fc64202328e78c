"""embedding=plain."""

import torch

from lightning_transformer.nn.embedding.plain import PlainEmbedding


def test_gives_rows_of_the_table() -> None:
    table = PlainEmbedding(5, 3)
    y = table(torch.tensor([[4, 0]]))
    assert torch.equal(y, torch.stack((table.weight[4], table.weight[0]))[None])

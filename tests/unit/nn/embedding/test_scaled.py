"""embedding=scaled."""

import torch

from lightning_transformer.nn.embedding.scaled import ScaledEmbedding


def test_gives_rows_times_the_root_of_the_width() -> None:
    table = ScaledEmbedding(5, 16)
    y = table(torch.tensor([[4, 0]]))
    torch.testing.assert_close(y, 4 * torch.stack((table.weight[4], table.weight[0]))[None])

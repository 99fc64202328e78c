"""position=learned_normed."""

import torch
from torch import nn

from lightning_transformer.nn.position.learned_normed import LearnedNormed
from tests.conftest import noise


def test_formula() -> None:
    position = LearnedNormed(d_model=6, n_heads=2, head_dim=3, max_len=5, norm=nn.LayerNorm)
    position.double()
    position.norm.weight.data = noise(6, seed=1)
    x, places = noise(2, 3, 6), torch.tensor([[0, 1, 2], [0, 0, 4]])
    both = x + position.table.weight[places]
    centred = both - both.mean(-1, keepdim=True)
    wanted = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * noise(6, seed=1)
    torch.testing.assert_close(position.embed(x, places), wanted, rtol=0, atol=1e-12)

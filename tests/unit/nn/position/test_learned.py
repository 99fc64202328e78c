"""position=learned."""

import pytest
import torch

from lightning_transformer.nn.position.learned import Learned
from tests.conftest import noise


def make(max_len: int = 6) -> Learned:
    return Learned(d_model=4, n_heads=2, head_dim=2, max_len=max_len).double()


def test_adds_the_row_of_each_position() -> None:
    position, x = make(), noise(2, 3, 4)
    y = position.embed(x, torch.tensor([4, 0, 2]))
    table = position.table.weight
    assert torch.equal(y, x + torch.stack((table[4], table[0], table[2])))


def test_positions_may_differ_by_row() -> None:
    position, x = make(), noise(2, 2, 4)
    y = position.embed(x, torch.tensor([[0, 1], [5, 5]]))
    assert torch.equal(y[1], x[1] + position.table.weight[5])


def test_a_longer_row_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^7 tokens in a row, but position=learned has 6 pos"):
        make().embed(noise(1, 7, 4), torch.arange(7))

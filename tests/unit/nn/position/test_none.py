"""position=none."""

import torch

from lightning_transformer.nn.position.none import NoPosition
from tests.conftest import noise


def test_does_nothing_anywhere() -> None:
    position = NoPosition(d_model=8, n_heads=2, head_dim=4, max_len=5)
    places, x = torch.arange(5), noise(1, 5, 8)
    assert torch.equal(position.embed(x, places), x)
    assert position.angles(places) is None
    assert position.bias(places, places) is None
    assert list(position.parameters()) == []

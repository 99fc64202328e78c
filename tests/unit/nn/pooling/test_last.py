"""pooling=last."""

from __future__ import annotations

import torch

from lightning_transformer.nn.pooling.last import LastPooling
from tests.conftest import noise


def test_the_last_real_token_of_each_row() -> None:
    x = noise(3, 5, 2)
    padding = torch.arange(5) >= torch.tensor([3, 5, 1])[:, None]
    wanted = torch.stack([x[0, 2], x[1, 4], x[2, 0]])
    assert torch.equal(LastPooling()(x, padding), wanted)
    assert torch.equal(LastPooling()(x, None), x[:, -1])

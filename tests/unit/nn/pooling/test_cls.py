"""pooling=cls."""

import torch

from lightning_transformer.nn.pooling.cls import ClsPooling
from tests.conftest import noise


def test_the_first_position() -> None:
    x = noise(2, 3, 4)
    assert torch.equal(ClsPooling()(x, None), x[:, 0])


def test_needs_an_extra_token() -> None:
    assert ClsPooling.n_extra_tokens == 1

"""init=kaiming."""

import pytest
import torch

from lightning_transformer.nn.init.kaiming import Kaiming
from tests.conftest import noise
from tests.unit.nn.init.drawing import assert_normal, draw


@pytest.mark.parametrize("role", ["linear", "residual_out", "head"])
def test_deviation_by_fan_in(role: str) -> None:
    assert_normal(draw(Kaiming(), role), (2 / 300) ** 0.5)
    assert_normal(draw(Kaiming(gain=1.0), role), (1 / 300) ** 0.5)


def test_rectified_layers_keep_the_size() -> None:
    weight = draw(Kaiming(), "linear", (2000, 2000)).double()
    y = weight @ noise(2000)
    for layer in range(3):
        y = torch.roll(weight, layer + 1, 0) @ y.relu()
        assert 0.8 < float(y.square().mean()) / 2 < 1.25


def test_embeddings_have_their_own() -> None:
    assert_normal(draw(Kaiming(embedding_std=0.7), "embedding"), 0.7)


@pytest.mark.parametrize("name", ["gain", "embedding_std"])
def test_refuses(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}=0.0 must be a positive number"):
        Kaiming(**{name: 0.0})

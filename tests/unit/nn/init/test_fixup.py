"""init=fixup."""

import pytest
import torch

from lightning_transformer.nn.init.fixup import Fixup
from tests.conftest import noise, tiny
from tests.unit.nn.init.drawing import assert_normal, assert_uniform, draw


@pytest.mark.parametrize("role", ["residual_out", "head"])
def test_last_layers_are_zero(role: str) -> None:
    assert not draw(Fixup(), role).any()


@pytest.mark.parametrize("depth", [1, 9])
def test_other_layers_shrink_with_the_root_of_depth(depth: int) -> None:
    bound = (6 / 700) ** 0.5 / depth**0.5
    assert_uniform(draw(Fixup(), "linear", depth=depth), bound)


def test_embeddings_have_their_own() -> None:
    assert_normal(draw(Fixup(embedding_std=0.7), "embedding"), 0.7)


def test_a_stack_begins_as_the_identity() -> None:
    stack = tiny("init=fixup", "norm=none").decoder
    x = noise(2, 5, 32)
    assert torch.equal(stack(x), x)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^embedding_std=0.0 must be a positive number"):
        Fixup(embedding_std=0.0)

"""init=zero_out."""

import pytest
import torch

from lightning_transformer.nn.init.zero_out import ZeroOut
from tests.conftest import noise, tiny
from tests.unit.nn.init.drawing import assert_normal, draw


def test_outputs_are_zero() -> None:
    assert not draw(ZeroOut(), "residual_out").any()


@pytest.mark.parametrize("role", ["linear", "head"])
def test_others_are_normal(role: str) -> None:
    assert_normal(draw(ZeroOut(std=0.05), role), 0.05)


@pytest.mark.parametrize("block", ["sequential", "parallel", "macaron"])
def test_a_stack_begins_as_the_identity(block: str) -> None:
    stack, x = tiny("init=zero_out", "norm=none", f"block={block}").decoder, noise(2, 5, 32)
    assert torch.equal(stack(x), x)


def test_embeddings_have_their_own() -> None:
    assert_normal(draw(ZeroOut(embedding_std=0.7), "embedding"), 0.7)


@pytest.mark.parametrize("name", ["std", "embedding_std"])
def test_refuses(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}=0.0 must be a positive number"):
        ZeroOut(**{name: 0.0})

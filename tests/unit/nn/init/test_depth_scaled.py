"""init=depth_scaled."""

import pytest

from lightning_transformer.nn.init.depth_scaled import DepthScaled
from tests.unit.nn.init.drawing import assert_normal, draw


@pytest.mark.parametrize("role", ["linear", "head"])
def test_inner_layers_do_not_depend_on_depth(role: str) -> None:
    assert_normal(draw(DepthScaled(std=0.06), role, depth=9), 0.06)


@pytest.mark.parametrize(("depth", "std"), [(1, 0.06), (9, 0.02), (36, 0.01)])
def test_outputs_shrink_with_the_root_of_depth(depth: int, std: float) -> None:
    assert_normal(draw(DepthScaled(std=0.06), "residual_out", depth=depth), std)


def test_embeddings_have_their_own() -> None:
    assert_normal(draw(DepthScaled(embedding_std=0.7), "embedding"), 0.7)


@pytest.mark.parametrize("name", ["std", "embedding_std"])
def test_refuses(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}=-1.0 must be a positive number"):
        DepthScaled(**{name: -1.0})

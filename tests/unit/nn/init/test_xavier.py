"""init=xavier."""

import pytest

from lightning_transformer.nn.init.xavier import Xavier
from tests.unit.nn.init.drawing import assert_normal, assert_uniform, draw


@pytest.mark.parametrize("role", ["linear", "residual_out", "head"])
def test_bound_by_both_fans(role: str) -> None:
    assert_uniform(draw(Xavier(gain=2.0), role), 2 * (6 / 700) ** 0.5)


def test_embeddings_have_their_own() -> None:
    assert_normal(draw(Xavier(embedding_std=0.7), "embedding"), 0.7)


@pytest.mark.parametrize("name", ["gain", "embedding_std"])
def test_refuses(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}=0.0 must be a positive number"):
        Xavier(**{name: 0.0})

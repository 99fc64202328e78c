"""init=normal."""

import pytest

from lightning_transformer.nn.init.normal import Normal
from tests.unit.nn.init.drawing import assert_normal, draw


@pytest.mark.parametrize("role", ["linear", "residual_out", "head"])
def test_every_matrix_has_the_same_deviation(role: str) -> None:
    assert_normal(draw(Normal(std=0.05), role), 0.05)


def test_embeddings_have_their_own() -> None:
    assert_normal(draw(Normal(std=0.05, embedding_std=0.7), "embedding"), 0.7)


@pytest.mark.parametrize("name", ["std", "embedding_std"])
def test_refuses(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}=0.0 must be a positive number"):
        Normal(**{name: 0.0})

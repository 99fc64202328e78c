"""init=small_init."""

import pytest

from lightning_transformer.nn.init.small_init import SmallInit
from tests.unit.nn.init.drawing import assert_normal, draw
from tests.unit.nn.init.sites import assert_deviations, weights_of


@pytest.mark.parametrize(("role", "width"), [("linear", 300), ("head", 300), ("residual_out", 400)])
def test_deviation_by_the_width_of_the_stream(role: str, width: int) -> None:
    assert_normal(draw(SmallInit(), role), (2 / (5 * width)) ** 0.5)


def test_it_is_xavier_for_the_feed_forward_layer() -> None:
    assert (2 / (5 * 64)) == 2 / (64 + 256)


def test_every_matrix_of_a_model_has_the_same() -> None:
    parts = ("q.weight", "k.weight", "v.weight", "out.weight", "up.0", "down")
    assert_deviations(weights_of("init=small_init"), dict.fromkeys(parts, (2 / 320) ** 0.5))


def test_embeddings_have_their_own() -> None:
    assert_normal(draw(SmallInit(embedding_std=0.7), "embedding"), 0.7)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^embedding_std=0.0 must be a positive number"):
        SmallInit(embedding_std=0.0)

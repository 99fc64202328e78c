"""Whether a position acts on scores follows from its hooks, and the stack relies on it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn.position.base import PositionEncoding
from tests.conftest import options, tiny
from tests.helpers.variants import without_scores

SIZES = {"d_model": 8, "n_heads": 2, "head_dim": 4, "max_len": 5}


class OnlyBias(PositionEncoding):
    def bias(self, queries: Tensor, keys: Tensor) -> Tensor:
        return -(queries[:, None] - keys[None, :]).abs().float()[None]


class OnlyAngles(PositionEncoding):
    def angles(self, positions: Tensor) -> Tensor:
        return positions[:, None].float()


class OnlyEmbed(PositionEncoding):
    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        return x + positions[..., None]


class BiasFromBase(OnlyBias):
    pass


@pytest.mark.parametrize(
    ("kind", "acts"),
    [(OnlyBias, True), (OnlyAngles, True), (BiasFromBase, True), (OnlyEmbed, False)],
)
def test_the_hooks_say_whether_scores_are_changed(kind: type[PositionEncoding], acts: bool) -> None:
    assert kind(**SIZES).acts_on_scores is acts


@pytest.mark.parametrize("attention", without_scores())
def test_a_position_that_only_has_a_bias_is_refused_without_scores(attention: str) -> None:
    """Nothing but the hook is written, and yet the model is refused, in one line."""
    target = f"position._target_={__name__}.OnlyBias"
    with pytest.raises(ValueError, match=r"^position=OnlyBias acts on attention scores") as refused:
        tiny(f"attention={attention}", "position=none", target)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", options("position"))
def test_every_option_gives_angles_or_a_bias_if_it_acts_on_scores(name: str) -> None:
    position = tiny(f"position={name}", "model.n_layers=2").decoder.position
    places = torch.arange(4)
    gives = (position.angles(places) is not None) or (position.bias(places, places) is not None)
    assert position.acts_on_scores is gives

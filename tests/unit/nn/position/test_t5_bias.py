"""position=t5_bias."""

from typing import Any

import pytest
import torch

from lightning_transformer.nn.layer_info import LayerInfo, configure_layer
from lightning_transformer.nn.position.t5_bias import T5Bias
from tests.conftest import tiny


def make(*, causal: bool, n_heads: int = 4, **options: int) -> T5Bias:
    made = T5Bias(d_model=8 * n_heads, n_heads=n_heads, head_dim=8, max_len=9, **options)
    placed = configure_layer(made, LayerInfo(causal=causal))
    assert isinstance(placed, T5Bias)
    return placed


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("n_buckets", "max_distance"), [(32, 128), (8, 20), (4, 3), (64, 300)])
def test_equals_transformers(causal: bool, n_buckets: int, max_distance: int) -> None:
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    config = t5.T5Config(
        d_model=32,
        d_kv=8,
        num_heads=4,
        is_decoder=causal,
        relative_attention_num_buckets=n_buckets,
        relative_attention_max_distance=max_distance,
    )
    theirs = t5.T5Attention(config, has_relative_attention_bias=True)
    ours = make(causal=causal, n_buckets=n_buckets, max_distance=max_distance)
    ours.table.load_state_dict(theirs.relative_attention_bias.state_dict())
    places = torch.arange(400)
    assert torch.equal(ours.bias(places, places), theirs.compute_bias(400, 400)[0])


def test_buckets_by_hand() -> None:
    """Eight buckets: four alone, then 4-5, 6-8, 9-13 and the rest at a limit of 20."""
    buckets = make(causal=True, n_buckets=8, max_distance=20).buckets(torch.arange(-2, 25))
    runs = [0] * 3 + [1, 2, 3] + [4] * 2 + [5] * 3 + [6] * 5 + [7] * 11
    assert buckets.tolist() == runs


def test_left_and_right_have_numbers_of_their_own_in_an_encoder() -> None:
    both = make(causal=False).buckets(torch.arange(-200, 201))
    left, right = both[201:], both[:200].flip(0)
    assert torch.equal(right, left + 16)
    assert int(both.max()) == 31


def test_stacks_know_their_direction() -> None:
    model: Any = tiny("model=encoder_decoder", "position=t5_bias")
    assert not model.encoder.position.causal
    assert model.decoder.position.causal


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"n_buckets": 2}, "n_buckets=2 must be at least 4"),
        ({"n_buckets": 30}, "n_buckets=30 must be a multiple of 4, for example 28"),
        ({"max_distance": 16}, "max_distance=16 must be above 16, half of n_buckets, for example"),
    ],
)
def test_refuses(options: dict[str, int], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}"):
        make(causal=True, **options)

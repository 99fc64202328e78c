"""init=tfixup."""

import pytest
import torch
from torch import Generator

from lightning_transformer.nn.init.base import StackInfo
from lightning_transformer.nn.init.tfixup import TFixup
from tests.unit.nn.init.drawing import assert_normal, assert_uniform
from tests.unit.nn.init.sites import at, weights_of

XAVIER = (6 / 700) ** 0.5
# By hand: 16^(1/4) = 2; 9 * 9 = 81 = 3^4.
SITES = [
    (StackInfo(n_layers=16), 0.67 / 2),
    (StackInfo(n_layers=16, n_readers=5), 0.67 / 2),
    (StackInfo(n_layers=9, reads_source=True), 1 / 3),
]


@pytest.mark.parametrize(("info", "factor"), SITES)
@pytest.mark.parametrize("role", ["linear", "residual_out"])
def test_scaled_by_depth(role: str, info: StackInfo, factor: float) -> None:
    assert_uniform(at(TFixup(), role, info), XAVIER * factor)


@pytest.mark.parametrize(("info", "factor"), SITES)
def test_queries_and_keys_are_not(info: StackInfo, factor: float) -> None:
    assert_uniform(at(TFixup(), "query_key", info), XAVIER)


@pytest.mark.parametrize(
    "info",
    [
        StackInfo(n_layers=9, reads_source=True),
        StackInfo(n_layers=3, n_readers=9),
        StackInfo(n_layers=9),
    ],
)
def test_embeddings(info: StackInfo) -> None:
    assert_normal(at(TFixup(), "embedding_at", info), 400**-0.5 / 3)


def test_both_stacks_and_the_embedding_of_a_model() -> None:
    """Three layers read by two: the embedding goes by the two."""
    xavier = (6 / 128) ** 0.5
    found = weights_of("init=tfixup", "tie_embeddings=false", "position=learned")
    for name, value in found.items():
        limit = float(value.abs().max())
        gain = 0.67 * 3**-0.25 if name.startswith("encoder") else 18**-0.25
        if name.endswith(("q.weight", "k.weight")):
            assert 0.99 < limit / xavier <= 1.0
        elif name.endswith(("v.weight", "out.weight")):
            assert 0.99 < limit / xavier / gain <= 1.000001
        elif name.endswith(("up.0.weight", "down.weight")):
            assert 0.99 < limit / ((6 / 320) ** 0.5) / gain <= 1.000001
        elif "embedding" in name or "position" in name:
            assert abs(float(value.std()) / (64**-0.5 * 18**-0.25) - 1) < 0.06


def test_the_generator_alone_decides() -> None:
    before = torch.random.get_rng_state()
    first, second = torch.empty(4, 4), torch.empty(4, 4)
    TFixup().embedding_at(first, StackInfo(), Generator().manual_seed(1))
    TFixup().embedding(second, Generator().manual_seed(1))
    assert torch.equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), before)

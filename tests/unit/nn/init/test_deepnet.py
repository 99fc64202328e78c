"""init=deepnet."""

import pytest

from lightning_transformer.nn.init.base import StackInfo
from lightning_transformer.nn.init.deepnet import DeepNet
from tests.unit.nn.init.drawing import assert_normal, draw
from tests.unit.nn.init.sites import assert_deviations, at, weights_of

XAVIER = (2 / 700) ** 0.5
# By hand: 8 * 2 = 16 = 2^4; (2^4 * 16)^(1/16) = 2^(1/2); 12 * 108 = 1296 = 6^4.
SITES = [
    (StackInfo(n_layers=2), 1 / 2),
    (StackInfo(n_layers=2, n_readers=16), 0.87 / 2**0.5),
    (StackInfo(n_layers=108, reads_source=True), 1 / 6),
]


@pytest.mark.parametrize(("info", "beta"), SITES)
@pytest.mark.parametrize("role", ["linear", "residual_out"])
def test_gain_by_depth(role: str, info: StackInfo, beta: float) -> None:
    assert_normal(at(DeepNet(), role, info), XAVIER * beta)


@pytest.mark.parametrize(("info", "beta"), SITES)
def test_queries_and_keys_have_a_gain_of_one(info: StackInfo, beta: float) -> None:
    assert_normal(at(DeepNet(), "query_key", info), XAVIER)


def test_the_head_has_a_gain_of_one() -> None:
    assert_normal(draw(DeepNet(), "head"), XAVIER)


def test_both_stacks_of_a_model() -> None:
    found, xavier, ffn = weights_of("init=deepnet"), (2 / 128) ** 0.5, (2 / 320) ** 0.5
    for stack, beta in (("encoder", 0.87 * (3**4 * 2) ** (-1 / 16)), ("decoder", 24**-0.25)):
        own = {name: value for name, value in found.items() if name.startswith(stack)}
        assert_deviations(own, {".q.": xavier, ".k.": xavier})
        assert_deviations(own, {".v.": xavier * beta, ".out.": xavier * beta})
        assert_deviations(own, {".up.": ffn * beta, ".down.": ffn * beta})


def test_embeddings_have_their_own() -> None:
    assert_normal(draw(DeepNet(embedding_std=0.7), "embedding"), 0.7)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^embedding_std=0.0 must be a positive number"):
        DeepNet(embedding_std=0.0)

"""Shares by weight, tokens and temperature, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lightning_transformer.config.mixture_parts import PartConfig
from lightning_transformer.data.mixing.shares import PARTS_OF, check_shares, quota_weights

N_EXAMPLES, N_TOKENS = {"a": 1000, "b": 10}, {"a": 128_000, "b": 1280}


def made(**options) -> dict[str, PartConfig]:
    """Two parts; options by name of the part."""
    return {name: PartConfig("text", "x.Y", {}, **options.get(name, {})) for name in "ab"}


def weights(parts, temperature=None) -> list[int]:
    check_shares(parts, temperature)
    return quota_weights(parts, temperature, N_EXAMPLES, N_TOKENS)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [(3, 1, [3, 1]), (6, 2, [3, 1]), (0.7, 0.3, [7, 3]), (0.1, 2, [1, 20]), (1e-3, 1.5, [1, 1500])],
)
def test_weights_are_taken_exactly(a, b, wanted) -> None:
    assert weights(made(a={"weight": a}, b={"weight": b})) == wanted


def test_tokens_are_turned_into_examples() -> None:
    """128 tokens an example; less than half of one is still one."""
    parts = made(a={"tokens": 12_800}, b={"tokens": 50})
    assert weights(parts) == [100, 1]


@pytest.mark.parametrize("temperature", [1.0, 2.0, 3.0, 0.5, 1e9])
def test_temperature_raises_the_number_of_examples(temperature) -> None:
    found = np.array(weights(made(), temperature)) / PARTS_OF
    raised = np.array([1000.0, 10.0]) ** (1 / temperature)
    assert found == pytest.approx(raised / raised.sum(), abs=1e-6)


def test_a_low_temperature_leaves_the_smallest_part_a_share() -> None:
    assert weights(made(), 0.05) == [PARTS_OF, 1]


@pytest.mark.parametrize(
    ("parts", "temperature", "line"),
    [
        (made(), None, "say nothing of their shares"),
        (made(a={"weight": 1}, b={"weight": 1}), 2.0, "have weight and temperature"),
        (made(a={"weight": 1}, b={"tokens": 9}), None, "have weight and tokens"),
        (made(a={"weight": 3}), None, r"b.weight has no value.* \+data.parts.b.weight=3$"),
        (made(a={"weight": 0}, b={"weight": 1}), None, "data.parts.a.weight=0 must be a positive"),
        (made(a={"tokens": 0}, b={"tokens": 1}), None, "data.parts.a.tokens=0 must be at least 1"),
        (made(a={"max_epochs": -1}), 1.0, "data.parts.a.max_epochs=-1 must be a positive"),
        (made(), 0.0, "data.temperature=0.0 must be a positive number"),
    ],
)
def test_anything_but_one_way_for_all_is_refused(parts, temperature, line) -> None:
    with pytest.raises(ValueError, match=line):
        check_shares(parts, temperature)

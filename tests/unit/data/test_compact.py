"""Examples as columns, held against a list of them."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest

from lightning_transformer.data import compact as module
from lightning_transformer.data.compact import Compact, compact
from lightning_transformer.data.examples import (
    Labelled,
    MultiLabelled,
    Pair,
    Rated,
    Tagged,
    Tokens,
)
from lightning_transformer.data.split import ExampleList


def drawn(kind: type[Any], n: int, highest: int = 500) -> list[Any]:
    random = np.random.default_rng(0)

    def ids(length: int | None = None) -> np.ndarray:
        length = int(random.integers(0, 9)) if length is None else length
        return random.integers(0, highest, length).astype(np.int32)

    if kind is Pair:
        return [Pair(ids(), ids()) for _ in range(n)]
    if kind is Labelled:
        return [Labelled(ids(), i % 7) for i in range(n)]
    if kind is MultiLabelled:
        return [MultiLabelled(ids(), np.arange(i % 3, dtype=np.int16)) for i in range(n)]
    if kind is Rated:
        return [Rated(ids(), i / 7) for i in range(n)]
    rows = [ids() for _ in range(n)]
    return [Tagged(row, (row % 5 - 100).astype(np.int16)) for row in rows]


@pytest.mark.parametrize("kind", [Pair, Labelled, MultiLabelled, Rated, Tagged])
@pytest.mark.parametrize("highest", [500, 70_000])
def test_examples_are_those_of_the_list(monkeypatch, kind, highest) -> None:
    monkeypatch.setattr(module, "PART", 7)
    expected = drawn(kind, 30, highest)
    found = compact(iter(expected))
    assert isinstance(found, Compact)
    assert len(found) == 30
    for example, same in zip(expected, found, strict=True):
        assert type(example) is type(same)
        for a, b in zip(example, same, strict=True):
            assert type(a) is type(b)
            assert np.array_equal(a, b)
            assert getattr(a, "dtype", None) == getattr(b, "dtype", None)
    assert found[-1][0].tolist() == expected[-1][0].tolist()
    assert len(found[3:5]) == 2
    with pytest.raises(IndexError):
        found[30]
    assert compact(found) is found


def test_what_has_no_columns_stays_a_list() -> None:
    examples = [Tokens(np.arange(3)), Tokens(np.arange(4), np.zeros(4))]
    assert compact(examples) == examples
    assert compact([]) == []


def test_a_pair_takes_at_most_100_bytes_beside_its_ids() -> None:
    """Of the split that training keeps; ids of a vocabulary below 65,536 take 2 bytes."""
    n = 20_000
    gc.collect()
    tracemalloc.start()
    split = ExampleList((pair for pair in drawn(Pair, 1) * n), 0)
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    ids = sum(len(split.examples.columns[side]) for side in ("source", "target")) * 2
    assert (taken - ids) / n <= 100
    assert len(split) == n

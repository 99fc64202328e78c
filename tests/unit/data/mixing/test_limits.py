"""The steps that tokens and epochs of parts allow, and what a run has taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lightning_transformer.config.mixture_parts import PartConfig
from lightning_transformer.data.examples import Pair
from lightning_transformer.data.mixing import limits
from lightning_transformer.data.mixing.limits import (
    check_end,
    check_tokens,
    check_tokens_fit,
    most_examples,
    taken,
)
from lightning_transformer.data.mixing.mixed_order import MixedOrder
from lightning_transformer.data.mixing.mixed_split import PartSplits
from lightning_transformer.data.mixing.quota import Quota
from lightning_transformer.data.packing.rows import Rows
from lightning_transformer.data.split import ExampleList


def test_as_many_steps_as_there_are_tokens_for() -> None:
    parts = {name: PartConfig("text", "x.Y", {}, tokens=640) for name in "ab"}
    check_tokens(parts, n_steps=2, batch_size=4, n_examples=10)
    with pytest.raises(ValueError, match=r"1,280 tokens .* 2 steps of 4 .*use trainer.max_steps=2"):
        check_tokens(parts, n_steps=3, batch_size=4, n_examples=10)
    with pytest.raises(ValueError, match=r"give more tokens$"):
        check_tokens(parts, n_steps=1, batch_size=16, n_examples=10)
    check_tokens({"a": PartConfig("text", "x.Y", {}, weight=1)}, 99, 4, n_examples=1)


def part(**given: Any) -> PartConfig:
    return PartConfig("text", "x.Y", {}, **given)


def test_epochs_in_examples() -> None:
    parts = {"a": part(max_epochs=2.3), "b": part(), "c": part(max_epochs=1)}
    assert most_examples(parts, [10, 10, 7]) == [23, None, 7]
    with pytest.raises(ValueError, match=r"a.max_epochs=0.01 is less than one of the 99 "):
        most_examples({"a": part(max_epochs=0.01)}, [99])


def test_tokens_that_are_more_than_the_epochs_are_refused() -> None:
    parts = {"a": part(tokens=1000, max_epochs=2), "b": part(tokens=10)}
    check_tokens_fit(parts, [100, 1], [100, None])
    with pytest.raises(ValueError, match=r"use data.parts.a.tokens=800, or a larger max_epochs"):
        check_tokens_fit(parts, [100, 1], [80, None])


def test_a_run_ends_with_all_parts() -> None:
    check_end(None, 10**9, 4)
    check_end(40, 10, 4)
    with pytest.raises(ValueError, match=r"40 examples .* 10 steps .* use trainer.max_steps=10, "):
        check_end(40, 11, 4)
    with pytest.raises(ValueError, match="give one of them a larger max_epochs"):
        check_end(3, 1, 4)


def test_what_was_taken_is_counted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CHUNK", 7)
    pairs = [Pair(np.arange(i + 1), np.arange(2)) for i in range(9)]
    splits = {"a": ExampleList(pairs, 0), "b": ExampleList(pairs[:4], 0)}
    parts = PartSplits(splits, {})
    order = MixedOrder(["a", "b"], [9, 4], parts.lengths(), Quota([2, 1]), 1, 4, bucket_steps=2)
    examples, tokens = np.zeros(2, dtype=int), np.zeros(2, dtype=int)
    for step in (1, 2, 3, 7, 8, 9, 10, 11):
        for index in order.samples(4 * step, 4)[1].tolist():
            part, own = (0, index) if index < 9 else (1, index - 9)
            examples[part] += 1
            tokens[part] += len(pairs[own].source) + len(pairs[own].target)
    counts, n_tokens = taken(order, parts, [(1, 4), (7, 12)])
    assert counts.tolist() == examples.tolist()
    assert n_tokens == tokens.tolist()


def test_rows_have_seq_len_tokens_and_fresh_examples_no_known_number() -> None:
    rows = Rows(np.arange(41), seq_len=4, training=True)
    fresh = [rows, type("Fresh", (), {"__len__": lambda _: 5, "lengths": None})()]
    parts = PartSplits(dict(zip("ab", fresh, strict=True)), {})
    order = MixedOrder(["a", "b"], [10, 5], None, Quota([1, 1]), 1, 4)
    counts, tokens = taken(order, parts, [(0, 5)])
    assert (counts.tolist(), tokens) == ([10, 10], [40, None])

"""The order of a mixture against a plain reference: each part's stream, dealt out one by one."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from lightning_transformer.data.loading.permutation import visited
from lightning_transformer.data.mixing.mixed_order import MixedOrder, part_seed
from lightning_transformer.data.mixing.quota import Quota

NAMES, SIZES, WEIGHTS = ["a", "b", "c"], [11, 30, 5], [2, 1, 4]


def order(**given) -> MixedOrder:
    options = {"lengths": None, "seed": 3, "batch_size": 4, "bucket_steps": 3}
    return MixedOrder(NAMES, SIZES, quota=Quota(WEIGHTS), **{**options, **given})


def stream(n: int, seed: int = 3) -> list[tuple[int, int]]:
    """(epoch, number) of the first n samples, from counters that go up."""
    starts, seen, found = [0, 11, 41], Counter(), []
    for part in Quota(WEIGHTS).dealt(0, n)[0].tolist():
        epoch, place = divmod(seen[part], SIZES[part])
        key = part_seed(seed, NAMES[part])
        index = int(visited(np.array([place]), key, epoch, SIZES[part])[0])
        found.append((epoch, starts[part] + index))
        seen[part] += 1
    return found


def test_the_stream_is_each_parts_own_dealt_out() -> None:
    epochs, indices = order().samples(0, 200)
    assert list(zip(epochs.tolist(), indices.tolist(), strict=True)) == stream(200)


def test_any_part_of_the_stream_is_that_part() -> None:
    whole = stream(120)
    for first, count in ((0, 1), (5, 40), (12, 12), (100, 20)):
        epochs, indices = order().samples(first, count)
        pairs = list(zip(epochs.tolist(), indices.tolist(), strict=True))
        assert pairs == whole[first : first + count]


def test_each_part_shows_every_example_once_in_each_of_its_epochs() -> None:
    epochs, indices = order().samples(0, 400)
    seen = Counter(zip(epochs.tolist(), indices.tolist(), strict=True))
    assert set(seen.values()) == {1}
    complete = [len({i for e, i in seen if i >= 41 and e == epoch}) for epoch in range(40)]
    assert complete == [5] * 40


def test_parts_of_one_size_are_not_visited_in_step() -> None:
    """Line n of two translations of a text would otherwise always come together."""
    twins = MixedOrder(["a", "b"], [50, 50], None, Quota([1, 1]), seed=1, batch_size=10)
    indices = twins.samples(0, 100)[1]
    one, other = indices[indices < 50], indices[indices >= 50] - 50
    assert sorted(one) == sorted(other) == list(range(50))
    assert (one == other).sum() < 10


def test_lengths_bring_like_examples_together_and_every_part_keeps_its_places() -> None:
    draw = np.random.default_rng(0)
    lengths = [draw.integers(1, 100, size) for size in SIZES]
    plain, sorted_ = order(bucket_steps=6), order(lengths=lengths, bucket_steps=6)
    every = np.concatenate(lengths)
    for pool in range(4):
        a, b = (np.stack(o.samples(24 * pool, 24), axis=1) for o in (plain, sorted_))
        assert sorted(a.tolist()) == sorted(b.tolist()) != b.tolist()
        of = [np.searchsorted([11, 41], pairs[:, 1], side="right").tolist() for pairs in (a, b)]
        assert of[0] == of[1]
    spread = [
        np.ptp(every[o.samples(4 * step, 4)[1]]) for o in (plain, sorted_) for step in range(24)
    ]
    assert np.mean(spread[24:]) < 0.8 * np.mean(spread[:24])
    unsorted = order(lengths=lengths, bucket_steps=1)
    assert unsorted.samples(0, 48)[1].tolist() == plain.samples(0, 48)[1].tolist()


def test_sorting_by_length_moves_nothing_over_the_end() -> None:
    """With 60 examples in all, of which the pool of places 48 to 71 has some behind the end."""
    draw = np.random.default_rng(0)
    lengths = [draw.integers(1, 100, size) for size in SIZES]
    quota = Quota(WEIGHTS, [11, 40, 9])
    given = {"seed": 3, "batch_size": 4, "bucket_steps": 6, "quota": quota}
    epochs, indices = MixedOrder(NAMES, SIZES, lengths, **given).samples(0, 72)
    seen = Counter(zip(epochs[:60].tolist(), indices[:60].tolist(), strict=True))
    assert set(seen.values()) == {1}
    assert [sum(i < 11 for _, i in seen), sum(i >= 41 for _, i in seen)] == [11, 9]
    assert max(epoch for epoch, i in seen if i < 11) == 0
    assert {epoch for epoch, i in seen if i >= 41} == {0, 1}
    assert sum(epoch == 1 for epoch, i in seen if 11 <= i < 41) == 10


def test_a_part_alone_is_sorted_into_steps() -> None:
    lengths = np.random.default_rng(0).integers(1, 1000, 48)
    alone = MixedOrder(["b"], [48], [lengths], Quota([1]), seed=3, batch_size=4, bucket_steps=12)
    steps = np.sort(lengths[alone.samples(0, 48)[1]].reshape(12, 4), axis=1)
    assert sorted(steps.tolist()) == np.sort(lengths).reshape(12, 4).tolist()
    assert steps.tolist() != np.sort(lengths).reshape(12, 4).tolist()


@pytest.mark.parametrize("lengths", [None, [np.arange(size) for size in SIZES]])
def test_counts_are_those_of_the_samples(lengths) -> None:
    made = order(lengths=lengths)
    for n in (0, 4, 12, 40, 100):
        parts = np.searchsorted([11, 41], made.samples(0, n)[1], side="right") if n else []
        assert made.counts(n).tolist() == [Counter(list(parts))[part] for part in range(3)]


def test_the_seed_changes_the_examples_and_not_the_parts() -> None:
    made = [order(seed=seed).samples(0, 60)[1] for seed in (3, 4)]
    assert made[0].tolist() != made[1].tolist()
    parts = [np.searchsorted([11, 41], indices, side="right").tolist() for indices in made]
    assert parts[0] == parts[1]


def test_another_part_does_not_change_the_order_of_a_part() -> None:
    alone = MixedOrder(["b"], [30], None, Quota([1]), seed=3, batch_size=4, bucket_steps=3)
    indices = order().samples(0, 210)[1]
    mine = (indices >= 11) & (indices < 41)
    assert (indices[mine] - 11).tolist() == alone.samples(0, 30)[1].tolist()


def test_few_pools_are_kept() -> None:
    made = order()
    for place in itertools.chain(range(0, 4000, 4), (0,)):
        made.samples(place, 4)
    assert len(made._pools) <= 5

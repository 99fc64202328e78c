"""The order of the samples, held against a list that is written out."""

from __future__ import annotations

import numpy as np
import pytest

from lightning_transformer.data.loading.buckets import SampleOrder, by_length
from lightning_transformer.data.loading.permutation import visited


def whole(order: SampleOrder, n_epochs: int) -> np.ndarray:
    return order.samples(0, order.n * n_epochs)[1].reshape(n_epochs, order.n)


@pytest.mark.parametrize(("n", "batch_size"), [(1000, 16), (1003, 8), (7, 4), (64, 64)])
@pytest.mark.parametrize("bucket_steps", [1, 3, 128])
def test_every_example_comes_once_per_epoch(n: int, batch_size: int, bucket_steps: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 200, n)
    epochs = whole(SampleOrder(n, lengths, 3, batch_size, bucket_steps), 6)
    assert all(sorted(epoch) == list(range(n)) for epoch in epochs)
    if n > 100:  # the sorted pools of a few examples may be alike
        assert len({tuple(epoch) for epoch in epochs}) == 6


@pytest.mark.parametrize("lengths", [None, np.arange(1003) % 91])
def test_the_order_does_not_depend_on_how_it_is_asked_for(lengths: np.ndarray | None) -> None:
    expected = whole(SampleOrder(1003, lengths, 3, 8, 4), 4).ravel()
    order, random = SampleOrder(1003, lengths, 3, 8, 4), np.random.default_rng(1)
    for _ in range(60):  # forth and back, also across epochs
        first, count = int(random.integers(0, 3900)), int(random.integers(1, 100))
        epochs, indices = order.samples(first, count)
        assert indices.tolist() == expected[first : first + count].tolist()
        assert epochs.tolist() == [place // 1003 for place in range(first, first + count)]
    assert len(order._pools) <= 5  # memory does not grow


def test_without_lengths_it_is_plain_shuffling() -> None:
    plain = [visited(np.arange(50), 3, epoch, 50) for epoch in range(3)]
    for order in (SampleOrder(50, None, 3, 8), SampleOrder(50, np.arange(50), 3, 8, 1)):
        assert np.array_equal(whole(order, 3), plain)


def test_steps_have_similar_lengths_also_where_they_span_epochs() -> None:
    n, batch_size = 1003, 8  # epochs do not start where steps do
    lengths = np.random.default_rng(0).integers(1, 200, n)
    stream = whole(SampleOrder(n, lengths, 3, batch_size, 8), 4).ravel()
    steps = lengths[stream[: len(stream) // batch_size * batch_size]].reshape(-1, batch_size)
    used = steps.sum() / (steps.max(axis=1) * batch_size).sum()
    assert used > 0.9  # shuffled: about 0.56
    # and steps of all lengths come in random order, not from short to long
    means = steps.mean(axis=1)
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.2


def test_sentence_pairs_have_at_most_a_tenth_of_padding() -> None:
    """Lengths as in translation: log-normal, mean 16; at batch 64."""
    n, batch_size = 29_000, 64
    lengths = np.random.default_rng(0).lognormal(2.6, 0.5, n).astype(int) + 2
    padding = {}
    for bucket_steps in (1, 8, 128):
        stream = whole(SampleOrder(n, lengths, 3, batch_size, bucket_steps), 1)[0]
        steps = lengths[stream[: n // batch_size * batch_size]].reshape(-1, batch_size)
        padding[bucket_steps] = 1 - steps.sum() / (steps.max(axis=1) * batch_size).sum()
    assert padding[128] < 0.1 < padding[8] < 0.25 < padding[1]


def test_pairs_are_sorted_forth_and_back() -> None:
    """By the longer side; of one longer side, from short sources to short targets or back."""
    pairs = np.array([(a, b) for a in range(1, 5) for b in range(1, 5)])
    found = pairs[by_length(pairs)].tolist()
    assert found[:4] == [[1, 1], [2, 1], [2, 2], [1, 2]]
    assert found[4:9] == [[1, 3], [2, 3], [3, 3], [3, 2], [3, 1]]
    assert found[9:] == [[4, 1], [4, 2], [4, 3], [4, 4], [3, 4], [2, 4], [1, 4]]


@pytest.mark.parametrize(("mean", "spread", "most"), [(2.5, 0.32, 0.07), (2.6, 0.5, 0.1)])
def test_both_sides_of_pairs_have_few_pads(mean: float, spread: float, most: float) -> None:
    """Translations: log-normal lengths, of which both sides differ by a tenth; at batch 64."""
    n, batch_size, random = 29_000, 64, np.random.default_rng(0)
    sentences = random.lognormal(mean, spread, n)
    sides = [np.maximum(1, sentences * random.normal(1, 0.1, n)).astype(int) for _ in range(2)]
    lengths = np.stack(sides, axis=1) + 1

    def padding(known: np.ndarray) -> float:
        stream = whole(SampleOrder(n, known, 3, batch_size, 128), 1)[0]
        steps = lengths[stream[: n // batch_size * batch_size]].reshape(-1, batch_size, 2)
        return float(1 - steps.sum() / (steps.max(axis=1) * batch_size).sum())

    assert padding(lengths) < most
    assert padding(lengths) < 0.75 * padding(lengths.max(axis=1))

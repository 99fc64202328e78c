"""Pseudo-random permutations: that they are some, and that they are random."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_transformer.data.loading.permutation import EXACT, permuted, visited


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 3000), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 2**40))
def test_it_is_a_permutation(n: int, seed: int, epoch: int) -> None:
    assert sorted(permuted(np.arange(n), seed, epoch, n)) == list(range(n))


def test_places_are_independent_of_each_other() -> None:
    n = EXACT + 1234
    whole = visited(np.arange(n), 5, 2, n)
    assert np.array_equal(np.sort(whole), np.arange(n))
    chosen = np.array([7, 7, n - 1, 0])
    assert visited(chosen, 5, 2, n).tolist() == whole[chosen].tolist()


def test_it_depends_on_seed_and_epoch() -> None:
    for n in (100, EXACT + 1):
        first = visited(np.arange(n), 1, 2, n)
        for seed, epoch in ((1, 3), (2, 2), (2, 1), (2**62, 2)):  # not on their sum
            assert (first == visited(np.arange(n), seed, epoch, n)).mean() < 0.1


def test_numbers_up_to_ten_to_the_eighteen_need_no_memory() -> None:
    n = 10**18
    found = permuted(np.arange(n - 50, n), 1, 0, n)
    assert len(set(found.tolist())) == 50
    assert found.min() >= 0
    assert found.max() < n


@pytest.mark.parametrize("n", [1024, 1500])
def test_values_and_neighbours_are_uniform(n: int) -> None:
    """Chi-squared over a grid of 16 by 16, and over differences, 5 standard deviations."""
    grid, differences = np.zeros((16, 16)), np.zeros(16)
    for seed in range(40):
        values = permuted(np.arange(n), seed, seed % 7, n)
        np.add.at(grid, (np.arange(n) * 16 // n, values * 16 // n), 1)
        np.add.at(differences, (values[1:] - values[:-1]) % n * 16 // n, 1)
    for counts in (grid, differences):
        expected = counts.sum() / counts.size
        chi = ((counts - expected) ** 2 / expected).sum()
        assert chi < counts.size + 5 * np.sqrt(2 * counts.size)


def test_by_hand_in_whole_numbers() -> None:
    mask = 2**64 - 1

    def mix(x: int) -> int:
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & mask
        return x ^ (x >> 31)

    golden, n, a, b = 0x9E3779B97F4A7C15, 1000, 32, 32
    state = mix(mix((5 + golden) & mask) ^ 3)
    keys = [mix((state + k * golden) & mask) for k in range(1, 7)]

    def once(x: int) -> int:
        r, left = divmod(x, a)
        for k in (0, 2, 4):
            left = (left + (mix(r ^ keys[k]) >> 32) * a // 2**32) % a
            r = (r + (mix(left ^ keys[k + 1]) >> 32) * b // 2**32) % b
        return r * a + left

    def walk(x: int) -> int:
        x = once(x)
        return x if x < n else walk(x)

    assert permuted(np.arange(n), 5, 3, n).tolist() == [walk(x) for x in range(n)]

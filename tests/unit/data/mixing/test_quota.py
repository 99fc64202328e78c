"""Dealing a stream out to parts: by hand, by property, and far from its beginning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_transformer.data.mixing.quota import Quota


def test_two_parts_by_hand() -> None:
    """Of m samples, floor(3 m / 4 + 1/2) are of the larger part."""
    parts, numbers = Quota([3, 1]).dealt(0, 8)
    assert parts.tolist() == [0, 1, 0, 0, 0, 1, 0, 0]
    assert numbers.tolist() == [0, 0, 1, 2, 3, 1, 4, 5]


def test_one_part_has_all() -> None:
    parts, numbers = Quota([7]).dealt(5, 3)
    assert (parts.tolist(), numbers.tolist()) == ([0, 0, 0], [5, 6, 7])


weights = st.lists(st.integers(1, 10**6), min_size=1, max_size=9)


@settings(max_examples=200, deadline=None)
@given(weights=weights, first=st.integers(0, 10**12))
def test_each_sample_goes_to_one_part_and_counts_are_near_the_shares(
    weights: list[int], first: int
) -> None:
    places = np.arange(first, first + 300)
    counts = Quota(weights).counts(places)
    steps = np.diff(counts, axis=1)
    assert ((steps == 0) | (steps == 1)).all()
    assert (steps.sum(axis=0) == 1).all()
    total, bound = sum(weights), 1 if len(weights) <= 3 else 2
    for count, weight in zip(counts, weights, strict=True):
        # In whole numbers: floats do not hold a place of 10^12 times a weight.
        errors = [abs(int(n) * total - int(k) * weight) for n, k in zip(count, places, strict=True)]
        assert max(errors) < bound * total


@given(weights=weights)
def test_after_all_weights_the_counts_are_exact(weights: list[int]) -> None:
    quota = Quota(weights)
    assert quota.counts(np.array([0, sum(weights)])).T.tolist() == [[0] * len(weights), weights]


@given(weights=weights, first=st.integers(0, 10**6), count=st.integers(1, 50))
def test_a_place_does_not_depend_on_where_dealing_begins(
    weights: list[int], first: int, count: int
) -> None:
    quota = Quota(weights)
    whole = [array.tolist() for array in quota.dealt(first, count)]
    single = [quota.dealt(place, 1) for place in range(first, first + count)]
    assert whole == [[int(one[i][0]) for one in single] for i in (0, 1)]


def test_weights_and_places_may_exceed_64_bits_in_their_product() -> None:
    large = [3 * 10**15, 10**15]
    small, place = Quota([3, 1]), 10**13
    assert Quota(large).dealt(place, 40)[0].tolist() == small.dealt(place, 40)[0].tolist()


def test_a_part_ends_and_the_others_go_on_by_hand() -> None:
    """The first part may have 3: after its third sample, at place 4, the other has all."""
    quota = Quota([3, 1], [3, None])
    parts, numbers = quota.dealt(0, 8)
    assert parts.tolist() == [0, 1, 0, 0, 1, 1, 1, 1]
    assert numbers.tolist() == [0, 0, 1, 2, 1, 2, 3, 4]
    assert (quota.ends, quota.end) == ([4, None], None)


@settings(max_examples=60, deadline=None)
@given(
    given=st.lists(
        st.tuples(st.integers(1, 10**4), st.none() | st.integers(1, 60)), min_size=1, max_size=5
    )
)
def test_ends_against_dealing_anew_to_what_is_left(given: list[tuple[int, int | None]]) -> None:
    """The reference takes sample after sample of dealing to those that are left."""
    weights, most = [w for w, _ in given], [m for _, m in given]
    quota, seen, wanted = Quota(weights, most), [0] * len(weights), []
    left, k, tree, ends = list(range(len(weights))), 0, Quota(weights), [None] * len(weights)
    while left and len(wanted) < 400:
        part = left[int(tree.dealt(k, 1)[0][0])]
        k += 1
        wanted.append((part, seen[part]))
        seen[part] += 1
        if seen[part] == most[part]:
            ends[part] = len(wanted)
            left.remove(part)
            k, tree = 0, Quota([weights[p] for p in left] or [1])
    found = quota.dealt(0, len(wanted))
    assert list(zip(*(array.tolist() for array in found), strict=True)) == wanted
    if not left:
        assert (quota.end, quota.ends) == (len(wanted), ends)
        # Then it begins again with all parts.
        again = quota.dealt(quota.end, 20)
        first = Quota(weights).dealt(0, 20)
        assert again[0].tolist() == first[0].tolist()
        assert (again[1] - first[1]).tolist() == [most[p] for p in first[0].tolist()]


@pytest.mark.parametrize("weights", [[], [0, 1], [1.5]])
def test_weights_are_whole_and_positive(weights: list[int]) -> None:
    with pytest.raises(AssertionError):
        Quota(weights)

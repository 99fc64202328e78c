"""The set of digests, held against Python's own."""

from __future__ import annotations

import random

from lightning_transformer.data.cleaning.digest_set import FULL, DigestSet


def test_it_is_a_set() -> None:
    draw, numbers, reference = random.Random(0), DigestSet(), set()
    # Few different ones, so that many are there already; some fall onto one place.
    values = [draw.getrandbits(64) & ~0xFF for _ in range(1500)] + [0, 2**64 - 1]
    for _ in range(8000):
        value = draw.choice(values)
        assert (value in numbers) == (value in reference)
        assert numbers.add(value) == (value not in reference)
        reference.add(value)
    assert len(numbers) == len(reference)
    assert all(value in numbers for value in reference)
    assert not any(draw.getrandbits(64) in numbers for _ in range(1000))


def test_bytes_per_number_are_bounded() -> None:
    numbers = DigestSet()
    draw = random.Random(1)
    for _ in range(50_000):
        numbers.add(draw.getrandbits(64))
    size = 8 * len(numbers._places)
    assert 8 / FULL <= size / len(numbers) <= 2 * 8 / FULL

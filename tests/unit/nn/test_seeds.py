"""Seeds that follow from a place."""

from __future__ import annotations

from lightning_transformer.nn.seeds import seed_of


def test_a_seed_is_a_function_of_the_place_alone():
    assert seed_of("1 2 3") == seed_of(b"1 2 3") == 22438337739548716
    assert len({seed_of(f"1 {step}") for step in range(1000)}) == 1000


def test_a_seed_is_one_that_torch_takes():
    assert all(0 <= seed_of(str(number)) < 2**56 for number in range(1000))

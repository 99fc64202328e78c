from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lightning_transformer.decoding.decode import greedy
from lightning_transformer.decoding.sampler import (
    choose,
    draw,
    keep_top_p,
    make_sampler,
    probabilities,
    row_seed,
    top_k,
)
from lightning_transformer.decoding.sampling import Sampling

PROBABILITIES = [0.05, 0.5, 0.15, 0.3]  # likeliest first: 1, 3, 2, 0
GRID = (torch.arange(1000) + 0.5) / 1000


def scores(n_rows: int = 1) -> Tensor:
    return torch.tensor(PROBABILITIES).log().repeat(n_rows, 1)


def frequencies(sampling: Sampling) -> list[float]:
    """Share of each token when chance takes all values of a fine grid."""
    ids = choose(scores(1000), sampling, GRID)
    return (torch.bincount(ids, minlength=4) / 1000).tolist()


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(1.0), PROBABILITIES),
        (Sampling(0.5), [p**2 / 0.365 for p in PROBABILITIES]),
        (Sampling(1.0, top_k=1), [0, 1, 0, 0]),
        (Sampling(1.0, top_k=2), [0, 0.625, 0, 0.375]),
        (Sampling(1.0, top_k=9), PROBABILITIES),
        (Sampling(1.0, top_p=1e-9), [0, 1, 0, 0]),
        (Sampling(1.0, top_p=0.49), [0, 1, 0, 0]),
        (Sampling(1.0, top_p=0.51), [0, 0.625, 0, 0.375]),
        (Sampling(1.0, top_p=0.79), [0, 0.625, 0, 0.375]),
        (Sampling(1.0, top_p=0.81), [0, 0.5 / 0.95, 0.15 / 0.95, 0.3 / 0.95]),
        (Sampling(1.0, top_p=1.0), PROBABILITIES),
        # top_p counts what top_k has left: 0.625 is less than 0.7, so the second stays.
        (Sampling(1.0, top_k=2, top_p=0.7), [0, 0.625, 0, 0.375]),
        (Sampling(1.0, top_k=2, top_p=0.6), [0, 1, 0, 0]),
        # Temperature comes first: squared, the likeliest has 0.685 of the whole.
        (Sampling(0.5, top_p=0.6), [0, 1, 0, 0]),
        (Sampling(0.001), [0, 1, 0, 0]),
        (Sampling(1.0, min_p=0.5), [0, 0.625, 0, 0.375]),
        (Sampling(1.0, min_p=0.61), [0, 1, 0, 0]),
        (Sampling(1.0, min_p=0.2), [0, 0.5 / 0.95, 0.15 / 0.95, 0.3 / 0.95]),
        # After the temperature: squared, 0.3 is 0.36 of the likeliest.
        (Sampling(0.5, min_p=0.4), [0, 1, 0, 0]),
        (Sampling(1.0, top_k=1, min_p=0.01), [0, 1, 0, 0]),
    ],
)
def test_tokens_are_drawn_from_the_right_set_as_often_as_is_right(
    sampling: Sampling, expected: list[float]
) -> None:
    # The grid has 1000 points, so a share is exact to 1/1000.
    assert frequencies(sampling) == pytest.approx(expected, abs=1.01e-3)
    assert probabilities(scores(), sampling)[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_top_k_keeps_exactly_k_even_of_equals() -> None:
    values, ids = top_k(torch.zeros(2, 6), 3)
    assert values.shape == (2, 3)
    assert all(len(set(row)) == 3 for row in ids.tolist())


def test_top_p_keeps_the_likeliest_of_each_row() -> None:
    ordered = torch.tensor([[50.0, 0.0, -50.0], [1.0, 1.0, 1.0]])
    kept = keep_top_p(ordered, 0.3) > float("-inf")
    assert kept.tolist() == [[True, False, False], [True, False, False]]
    kept = keep_top_p(ordered, 0.4) > float("-inf")
    assert kept.tolist() == [[True, False, False], [True, True, False]]


def test_what_is_ruled_out_is_never_drawn() -> None:
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(5000, 40, generator=generator)
    rows[torch.rand(rows.shape, generator=generator) < 0.7] = float("-inf")
    rows[:, 17] = 0.0
    ends = torch.tensor([0.0, 1 - 2**-24, 0.5, 0.999999]).repeat(1250)
    for sampling in (Sampling(0.1), Sampling(1.0), Sampling(5.0, 30), Sampling(1.0, top_p=0.999)):
        ids = choose(rows, sampling, ends)
        assert torch.isfinite(rows.gather(1, ids[:, None])).all()


def test_draw_falls_back_on_the_likeliest_where_the_sum_is_rounded() -> None:
    # 2^-24 below the sum of all: a chance just under 1 may point behind the last allowed token.
    rows = torch.tensor([[0.0, 1.0, float("-inf"), float("-inf")]])
    assert draw(rows, torch.tensor([1.0])).tolist() == [1]


def test_low_temperature_and_high_scores_stay_finite() -> None:
    high = torch.tensor([[3e38, -3e38, 2.9e38]])
    assert choose(high, Sampling(0.001), torch.tensor([0.7])).tolist() == [0]


def test_temperature_zero_is_greedy() -> None:
    assert make_sampler(Sampling(0.0), [1]) is greedy
    assert greedy(scores(3)).tolist() == [1, 1, 1]


def test_a_row_draws_from_its_own_seed() -> None:
    def rows(seeds: list[int], n: int = 600) -> list[list[int]]:
        sampler = make_sampler(Sampling(1.0), seeds)
        return torch.stack([sampler(scores(len(seeds))) for _ in range(n)], dim=1).tolist()

    three = rows([5, 6, 7])
    assert three[0] != three[1]
    assert [rows([seed])[0] for seed in (5, 6, 7)] == three
    assert rows([7, 5]) == [three[2], three[0]]


def test_draws_agree_with_the_probabilities() -> None:
    sampler = make_sampler(Sampling(1.0), [1])
    counts = torch.bincount(torch.cat([sampler(scores()) for _ in range(4000)]), minlength=4)
    for count, p in zip(counts.tolist(), PROBABILITIES, strict=True):
        assert abs(count - 4000 * p) < 4 * math.sqrt(4000 * p * (1 - p))


def test_every_place_has_a_seed_of_its_own() -> None:
    seeds = {row_seed(s, i, j) for s in range(5) for i in range(12) for j in range(12)}
    assert len(seeds) == 5 * 12 * 12
    assert row_seed(1, 11, 1) != row_seed(1, 1, 11)
    assert row_seed(7, 0, 0) == row_seed(7, 0, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"temperature": -1.0},
            r"temperature=-1.0 must be 0 .greedy. or at least 0.001, for example 0.8",
        ),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"temperature": float("inf")}, "temperature=inf"),
        ({"temperature": 1e-9}, "temperature=1e-09"),
        ({"top_k": 0}, "top_k=0 must be at least 1"),
        ({"top_p": 0.0}, r"top_p=0.0 must be in \(0, 1\]"),
        ({"top_p": 1.5}, "top_p=1.5"),
        ({"top_p": float("nan")}, "top_p=nan"),
        ({"temperature": 0.0, "top_k": 5}, "top_k=5 has no effect"),
        ({"temperature": 0.0, "top_p": 0.5}, "top_p=0.5 has no effect"),
    ],
)
def test_options_that_cannot_be(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampling(**options)  # type: ignore[arg-type]

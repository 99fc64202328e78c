from __future__ import annotations

import math
import re

import pytest
import torch

from lightning_transformer.training.guard.running_stats import Window


def gaussian(n: int, seed: int) -> torch.Tensor:
    """(n, 2) pairs around (3, 0.5) with deviations (0.1, 0.05)."""
    draw = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, 2, generator=draw)
    return torch.tensor([3.0, 0.5]) + noise * torch.tensor([0.1, 0.05])


def judge(window: Window, pairs: torch.Tensor) -> list[bool]:
    return [bool(window.judge(*pair)) for pair in pairs]


def by_hand(pairs: list[tuple[float, float]], size: int, sigmas: float, after: int) -> list[bool]:
    """The same on lists of Python numbers."""
    kept: list[tuple[float, float]] = []
    said = []
    for pair in pairs:
        last = kept[-size:]
        spike = not all(map(math.isfinite, pair))
        if len(kept) >= after:
            for new, old in zip(pair, zip(*last, strict=True), strict=True):
                mean = sum(old) / len(old)
                variance = sum((x - mean) ** 2 for x in old) / len(old)
                spike |= new > mean + sigmas * math.sqrt(variance)
        said.append(spike)
        if not spike:
            kept.append(pair)
    return said


@pytest.mark.slow
def test_no_spike_in_ten_thousand_gaussian_steps():
    assert sum(judge(Window(128, 6.0, 64), gaussian(10_000, seed=0))) == 0


@pytest.mark.parametrize("column", [0, 1])
def test_every_spike_of_ten_sigmas_is_found(column):
    pairs = gaussian(1000, seed=1)
    at = range(100, 1000, 45)
    for i in at:
        pairs[i, column] = (3.0 + 10 * 0.1, 0.5 + 10 * 0.05)[column]
    said = judge(Window(128, 6.0, 64), pairs)
    assert [i for i, spike in enumerate(said) if spike] == list(at)
    assert len(at) == 20


@pytest.mark.parametrize(("size", "sigmas", "after"), [(16, 2.0, 4), (8, 2.5, 8), (128, 3.0, 2)])
def test_it_does_what_is_written(size, sigmas, after):
    pairs = gaussian(400, seed=2)
    pairs[50, 0], pairs[60, 1], pairs[1, 0] = math.nan, math.inf, -math.inf
    wanted = by_hand([(float(a), float(b)) for a, b in pairs], size, sigmas, after)
    assert judge(Window(size, sigmas, after), pairs) == wanted
    assert 5 < sum(wanted) < 200


def test_spikes_are_not_taken_in():
    window = Window(8, 3.0, 4)
    judge(window, gaussian(20, seed=3))
    before = window.state_dict()
    assert judge(window, torch.tensor([[9.0, 0.5], [3.0, 9.0], [math.nan, 0.5]])) == [True] * 3
    after = window.state_dict()
    assert torch.equal(before["values"], after["values"])
    assert before["n_accepted"] == after["n_accepted"]


def test_before_enough_steps_only_what_is_not_finite_is_a_spike():
    pairs = torch.tensor([[1.0, 1.0], [50.0, 1.0], [math.inf, 1.0], [-50.0, 80.0]])
    assert judge(Window(8, 1.0, 4), pairs) == [False, False, True, False]


def test_low_values_are_no_spikes():
    window = Window(16, 3.0, 8)
    judge(window, gaussian(16, seed=4))
    assert judge(window, torch.tensor([[0.0, 0.0]])) == [False]


@pytest.mark.parametrize("done", [3, 8, 21])
def test_its_state_goes_on(done):
    pairs = gaussian(60, seed=5)
    whole, first, second = (Window(8, 2.0, 4) for _ in range(3))
    judge(first, pairs[:done])
    second.load_state_dict(first.state_dict())
    assert judge(second, pairs[done:]) == judge(whole, pairs)[done:]


@pytest.mark.parametrize("size", [4, 16])
def test_another_size_keeps_the_newest(size):
    pairs = gaussian(21, seed=6)
    old, new = Window(8, 1e9, 2), Window(size, 1e9, 2)
    judge(old, pairs)
    new.load_state_dict(old.state_dict())
    kept = new.state_dict()["values"]
    newest = sorted(pairs[-min(8, size) :, 0].tolist())
    assert sorted(x for x in kept[0].tolist() if x) == newest
    judge(new, torch.tensor([[7.0, 7.0]]))
    remaining = new.state_dict()["values"][0].tolist()
    assert 7.0 in remaining
    assert (newest[0] in remaining) or size == 4


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((1, 6.0, 64), "guard.window=1 must be at least 2, for example 2"),
        ((128, 0.0, 64), "guard.sigmas=0.0 must be a positive number, for example 6.0"),
        ((128, 6.0, 1), "guard.after=1 must be at least 2, for example 2"),
        ((32, 6.0, 64), "guard.after=64 must be at most guard.window=32"),
    ],
)
def test_options_out_of_range_are_refused(options, line):
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        Window(*options)

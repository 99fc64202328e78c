from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from lightning_transformer.data.loading.skipped_steps import LeftOut
from lightning_transformer.data.loading.train_loader import StepLoader


class Ids(NamedTuple):
    ids: list[int]
    n_targets: torch.Tensor
    step_targets: Any = None


def collate(examples, seeds):
    return Ids(list(examples), torch.tensor(len(examples)))


def loader(left_out: LeftOut | None = None, **options: Any) -> StepLoader:
    split = SimpleNamespace(lengths=None, get=lambda index, epoch: index)
    numbered = type("Numbered", (), {"__len__": lambda _: 20, **vars(split)})
    numbered.get = staticmethod(split.get)
    return StepLoader(numbered(), collate, seed=3, batch_size=4, left_out=left_out, **options)


def steps(of: StepLoader, n: int) -> list[list[int]]:
    batches = iter(of)
    return [[i for _ in range(of.accumulate) for i in next(batches).ids] for _ in range(n)]


def test_places_are_those_that_are_not_left_out():
    draw = random.Random(0)
    for _ in range(200):
        left_out, all_steps = LeftOut(), list(range(200))
        for _ in range(draw.randint(0, 4)):
            step, count = draw.randint(0, 30), draw.randint(1, 12)
            left_out.leave_out(step, count)
            del all_steps[step : step + count]
        assert [left_out.place(step) for step in range(40)] == all_steps[:40]
        flat = [edge for part in left_out.ranges for edge in part]
        assert flat == sorted(set(flat))  # ascending and apart


def test_spans_are_the_places_of_the_first_steps():
    draw = random.Random(1)
    for _ in range(100):
        left_out = LeftOut()
        for _ in range(draw.randint(0, 4)):
            left_out.leave_out(draw.randint(0, 30), draw.randint(1, 12))
        n = draw.randint(0, 50)
        spans = [step for first, end in left_out.spans(n) for step in range(first, end)]
        assert spans == [left_out.place(step) for step in range(n)]


def test_merging_is_the_union():
    left_out = LeftOut()
    left_out.merge([(5, 8), (1, 2)])
    left_out.merge([[7, 10], [1, 2], [20, 21]])
    assert left_out.ranges == [(1, 2), (5, 10), (20, 21)]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_loader_passes_over_what_is_left_out(accumulate):
    whole = steps(loader(), 15)
    left_out = LeftOut()
    left_out.leave_out(4, 3)
    some = loader(left_out, accumulate=accumulate)
    assert [some.sample_ids(s).tolist() for s in range(12)] == whole[:4] + whole[7:]
    assert steps(some, 12) == whole[:4] + whole[7:]


def test_workers_do_the_same():
    left_out = LeftOut()
    left_out.leave_out(2, 4)
    whole = steps(loader(), 12)
    assert steps(loader(left_out, num_workers=2), 8) == whole[:2] + whole[6:]


def test_going_back_and_past_bad_data():
    """As after a spike: the state of step 3 is loaded, and from there on two steps are left out."""
    whole = steps(loader(), 12)
    first = loader()
    steps(first, 3)
    state = first.state_dict()
    left_out = LeftOut()
    left_out.leave_out(3, 2)
    second = loader(left_out)
    second.load_state_dict(state)
    assert steps(second, 4) == whole[5:9]


def test_it_is_in_the_state():
    left_out = LeftOut()
    left_out.leave_out(2, 4)
    first = loader(left_out)
    steps(first, 3)
    second = loader()
    second.load_state_dict(first.state_dict())
    assert steps(second, 4) == steps(first, 4)
    old = {k: v for k, v in loader().state_dict().items() if k != "left_out"}
    third = loader()
    third.load_state_dict(old)  # of a version that left nothing out
    assert np.array_equal(third.sample_ids(5), loader().sample_ids(5))

"""Optimizers that leave out an update by themselves: no trace of it, and no wait for the device."""

from __future__ import annotations

import copy
import io
import math

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.optim.masked_optimizer import MaskedOptimizer, unbiasing
from tests.conftest import options
from tests.unit.optim.optimizers.test_every_optimizer import build, small, step

MASKED = [
    name for name in options("optimizer") if isinstance(build(name)(small()), MaskedOptimizer)
]


def state(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    kept = [value for p in model.parameters() for _, value in sorted(optimizer.state[p].items())]
    return copy.deepcopy([*model.parameters(), *kept])


def test_there_are_some() -> None:
    assert {"adan", "mars"} <= set(MASKED)


@pytest.mark.parametrize("name", MASKED)
def test_a_run_with_steps_left_out_is_one_without_them(name: str) -> None:
    """The first step too, after which the state is as if there had been none."""
    model, other = small(), small()
    optimizer, plain = build(name)(model), build(name)(other)
    for number, skip in enumerate([True, False, True, False, False, True]):
        optimizer.found_inf = torch.tensor(float(skip))
        if not skip:
            step(model, optimizer, number)
            step(other, plain, number)
            continue
        for p in model.parameters():
            p.grad = torch.full_like(p, math.nan)
        optimizer.step()
    assert all(map(torch.equal, state(model, optimizer), state(other, plain)))
    assert all(float(optimizer.state[p]["step"]) == 3 for p in model.parameters())


@pytest.mark.parametrize("name", MASKED)
def test_no_step_reads_a_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()
    optimizer = build(name)(model)
    for skip in (None, 0.0, 1.0):
        if skip is not None:
            optimizer.found_inf = torch.tensor(skip)
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        with monkeypatch.context() as patch:
            for read in ("item", "tolist", "cpu", "__float__", "__int__", "__bool__"):
                patch.setattr(Tensor, read, lambda *_: pytest.fail("the host waits"))
            optimizer.step()


@pytest.mark.parametrize("name", MASKED)
def test_the_count_of_steps_is_loaded_as_it_was(name: str) -> None:
    """Also for weights of 16 bits, whose precision torch gives to all else of a state."""
    model, other = small().bfloat16(), small().bfloat16()
    optimizer, again = build(name)(model), build(name)(other)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    for p in model.parameters():
        optimizer.state[p]["step"].fill_(1001)  # not a bfloat16
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    again.load_state_dict(torch.load(file, weights_only=True))
    steps = [again.state[p]["step"] for p in other.parameters()]
    assert {(step.dtype, float(step)) for step in steps} == {(torch.float32, 1001.0)}


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999])
def test_what_unbiases_is_exact_at_small_steps(beta: float) -> None:
    steps = [torch.tensor(float(t)) for t in (1, 2, 1000)]
    for dtype, tolerance in ((torch.float32, 2e-7), (torch.float64, 1e-12)):
        found = unbiasing(steps, beta, [torch.zeros(1, dtype=dtype)] * 3)
        assert [x.item() for x in found] == pytest.approx(
            [1 - beta**t for t in (1, 2, 1000)], rel=tolerance
        )

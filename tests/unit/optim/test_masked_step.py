from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lightning_transformer.optim.masked_step import step_unless
from lightning_transformer.optim.optimizers.adamw import adamw
from lightning_transformer.optim.optimizers.muon import muon


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(7, 8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 7))


def backward(model: nn.Module, seed: int, scale: float = 1.0) -> None:
    draw = torch.Generator().manual_seed(seed)
    model.zero_grad()
    (model(torch.randint(7, (5,), generator=draw)).square().sum() * scale).backward()


def state(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    kept = [value for p in model.parameters() for _, value in sorted(optimizer.state[p].items())]
    return copy.deepcopy([*model.parameters(), *kept])


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


OPTIMIZERS = {
    "muon": lambda model: muon(model, muon_weight_decay=0.1),
    "adamw": adamw,
    "sgd": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    "plain adam": lambda model: torch.optim.Adam(model.parameters(), lr=0.1, weight_decay=0.1),
}


def step(optimizer: torch.optim.Optimizer, skip: bool) -> None:
    value = torch.tensor(float(skip))
    if hasattr(optimizer, "takes_found_inf"):
        optimizer.found_inf = value
        optimizer.step()
    else:
        step_unless(optimizer, value)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_left_out_changes_nothing_even_by_nan(name):
    model = net()
    optimizer = OPTIMIZERS[name](model)
    for seed in range(3):
        backward(model, seed)
        step(optimizer, skip=False)
    before = state(model, optimizer)
    backward(model, 3, scale=float("nan"))
    step(optimizer, skip=True)
    assert equal(state(model, optimizer), before)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_around_it_are_the_ordinary_ones(name):
    models = net(), net()
    optimizers = [OPTIMIZERS[name](model) for model in models]
    for seed, skip in enumerate([True, False, False, True, False]):
        backward(models[0], seed)
        step(optimizers[0], skip)
        if not skip:
            backward(models[1], seed)
            optimizers[1].step()
    assert equal(state(models[0], optimizers[0]), state(models[1], optimizers[1]))
    groups = [[len(g["params"]) for g in optimizer.param_groups] for optimizer in optimizers]
    assert groups[0] == groups[1]

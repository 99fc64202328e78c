"""Contracts of what is used in training alone."""

import pickle
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn.init.base import Init, StackInfo
from lightning_transformer.optim.schedule.base import Schedule
from lightning_transformer.testing.common import finite, near, noise, require


def check_init(init: Init) -> None:
    """Fills a weight from the given generator alone, with finite numbers, whatever its role."""
    roles: dict[str, Callable[[Tensor, Generator], None]] = {
        "linear": lambda w, g: init.linear(w, StackInfo(4, 2), g),
        "query_key": lambda w, g: init.query_key(w, StackInfo(4, 2), g),
        "residual_out": lambda w, g: init.residual_out(w, StackInfo(4, 2), g),
        "head": init.head,
        "embedding": init.embedding,
    }
    for role, fill in roles.items():
        before = torch.random.get_rng_state()
        drawn = []
        for seed in (0, 0, 1):
            weight = torch.full((24, 16), float("nan"))
            fill(weight, Generator().manual_seed(seed))
            drawn.append(weight)
        require(finite(drawn[0]), f"init: {role} leaves numbers that are not finite")
        require(torch.equal(drawn[0], drawn[1]), f"init: {role} does not follow the generator")
        untouched = torch.equal(torch.random.get_rng_state(), before)
        require(untouched, f"init: {role} draws from the global generator")
        constant = not drawn[0].any()
        require(constant or not torch.equal(drawn[0], drawn[2]), f"init: {role} ignores the seed")
    require(not constant, "init: embedding is zero, so that all tokens are the same")


def check_schedule(schedule: Schedule) -> None:
    """A pure function of the step in (0, 1] with peak 1, which refuses a run that is too short."""
    total = (schedule.warmup_steps or 0) + 150
    schedule.validate(total)
    factors = [schedule(step, total) for step in range(total)]
    require(all(0 <= f <= 1 for f in factors), "schedule: a factor lies outside [0, 1]")
    require(abs(max(factors) - 1) < 1e-12, f"schedule: peaks at {max(factors):g}, not at 1")
    pure = pickle.loads(pickle.dumps(schedule))
    again = [pure(step, total) for step in reversed(range(total))]
    require(again[::-1] == factors, "schedule: depends on more than the step")
    in_steps = schedule.warmup_steps is not None
    for_any = replace(schedule, warmup=0.0, warmup_steps=None) if in_steps else schedule
    _check_every_step_trains(for_any)
    try:
        replace(schedule, warmup_steps=50).validate(50)
    except ValueError as error:
        require("\n" not in str(error), "schedule: the error has more than one line")
    else:
        raise AssertionError("schedule: accepts a run that ends before the warm-up does")


def _check_every_step_trains(schedule: Schedule) -> None:
    """In a run of any length; without a number of steps for the warm-up, which bounds it."""
    for total in (*range(1, 41), 1000):
        schedule.validate(total)
        idle = [step for step in range(total) if not schedule(step, total) > 0]
        require(not idle, f"schedule: the rate of step {idle[:1]} of {total} is not above 0")


def check_loss(factory: Callable[[], nn.Module]) -> None:
    """factory(): scores (N, V), labels (N,) -> sums over targets; labels of -100 count nowhere."""
    scores, labels = noise(5, 7), torch.tensor([0, 6, -100, 2, 2])
    loss = factory()
    both = loss(scores, labels)
    parts = [loss(scores[i : i + 1], labels[i : i + 1]) for i in range(5)]
    for name in ("objective", "nll"):
        total = torch.stack([getattr(part, name) for part in parts]).sum()
        require(near(getattr(both, name), total), f"loss: {name} is not the sum over its rows")
    wanted = -scores.log_softmax(-1)[[0, 1, 3, 4], [0, 6, 2, 2]].sum()
    require(near(both.nll, wanted), "loss: nll is not the plain negative log-likelihood")
    require(not both.nll.requires_grad, "loss: nll must be detached")
    leaf = scores.clone().requires_grad_()
    loss(leaf, torch.full((5,), -100)).objective.backward()
    require(leaf.grad is not None and not leaf.grad.any(), "loss: ignored targets have a gradient")

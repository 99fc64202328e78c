"""The search for each variant's learning rate, from short runs with seeds that are not reported.

Each rate is tried with every screening seed; the losses by rate give a curve, and the rate is
chosen on it (`report/choice/rate_curve.py`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lightning_transformer.compare.report.choice.rate_curve import (
    ALL_DIVERGED,
    LEAST_RATES,
    RateChoice,
    choose,
    means_below_divergence,
)
from lightning_transformer.compare.run.outcome import Job, Outcomes
from lightning_transformer.compare.run.request import INIT_OFFSET, SCREENING_SEEDS
from lightning_transformer.compare.run.variants import INIT_SEED, LR, Variant
from lightning_transformer.runs.naming import job_name, override_key

FACTORS = (0.5, 1.0, 2.0)  # of the configured rate
SHARE = 4  # a screening run has this part of the budget
MAX_WIDENED = 3

Losses = dict[float, list[float | None]]  # by factor of the rates, one per seed; None = diverged


@dataclass(frozen=True)
class Screening:
    """The state of the search for one variant.

    Attributes:
        losses: of the runs so far, in the order of the seeds.
        pending: factors and seeds that are still to be run.
        choice: None while runs are pending.
        start_loss: of the first step at the configured rate.
    """

    losses: Losses
    pending: tuple[tuple[float, int], ...]
    choice: RateChoice | None
    start_loss: float | None = None
    widened: int = 0


def screening(variant: Variant, outcomes: Outcomes) -> Screening:
    """The losses so far, the runs that are still to be done, and the choice."""
    factors, widened = first_factors(variant), 0
    while True:
        losses, pending = _tried(variant, factors, outcomes)
        start_loss = _start_loss(variant, factors, outcomes)
        if pending:
            return Screening(losses, pending, None, start_loss, widened)
        following = None if variant.grid or widened == MAX_WIDENED else _beyond(losses)
        if following is None:
            base = variant.rates[LR]
            by_rate = {variant.rates_at(f)[LR]: values for f, values in losses.items()}
            return Screening(losses, (), choose(by_rate, base), start_loss, widened)
        factors = (*factors, following)
        widened += 1


def first_factors(variant: Variant) -> tuple[float, ...]:
    """What is tried of the configured rates before anything is widened."""
    if variant.grid:
        return tuple(rate / variant.rates[LR] for rate in variant.grid)
    return FACTORS


def _tried(
    variant: Variant, factors: tuple[float, ...], outcomes: Outcomes
) -> tuple[Losses, tuple[tuple[float, int], ...]]:
    """Losses of the runs that have ended; factor and seed of those that have not.

    A rate at which one seed has diverged is not tried with the next. Those before it still are, so
    that what is recorded does not depend on which of several jobs ended first.
    """
    losses: Losses = {}
    pending = []
    for factor in factors:
        for seed in SCREENING_SEEDS:
            outcome = outcomes.get((_folder(variant, factor, seed), None))
            if outcome is None:
                pending.append((factor, seed))
                continue
            found = None if outcome.diverged else outcome.loss
            losses.setdefault(factor, []).append(found)
            if found is None:
                break
    return dict(sorted(losses.items())), tuple(pending)


def _beyond(losses: Losses) -> float | None:
    """The next factor: beyond the edge where the best is, or lower where too few train."""
    trained = means_below_divergence(losses)
    if len(trained) < LEAST_RATES:
        return min(losses) / 2
    best = min(trained, key=lambda f: (trained[f], f))
    return {max(losses): 2 * best, min(losses): best / 2}.get(best)


def _start_loss(variant: Variant, factors: tuple[float, ...], outcomes: Outcomes) -> float | None:
    nearest = min(factors, key=lambda factor: abs(math.log(factor)))
    outcome = outcomes.get((_folder(variant, nearest, SCREENING_SEEDS[0]), None))
    return outcome.start_loss if outcome else None


def factor_of(variant: Variant, choice: RateChoice) -> float:
    """What its rates are multiplied with."""
    return 1.0 if choice.rule == ALL_DIVERGED else choice.rate / variant.rates[LR]


def screening_job(variant: Variant, factor: float, seed: int, index: int) -> Job:
    """The short run of a variant with its rates times the factor; index: of the variant."""
    first = {key: values[0] for key, values in variant.tuned.items()}
    overrides, steps = short_run(variant, factor, first, seed)
    factors = first_factors(variant)
    order = (0, int(factor not in factors), seed, int(factor != 1.0), index)
    return Job(_folder(variant, factor, seed), variant.label, overrides, None, steps, order, True)


def short_run(
    variant: Variant, factor: float, tuned: Mapping[str, str], seed: int
) -> tuple[tuple[str, ...], int]:
    """The overrides of a run on part of the budget, with a schedule scaled to it; its steps."""
    steps = max(1, variant.steps // SHARE)
    typed = {override_key(key): value for key, value in tuned.items()}
    lengths = {
        key: _shorter(key, int(typed.get(key, value)), steps)
        for key, value in variant.lengths.items()
    }
    changed = {
        **tuned,
        "trainer.max_steps": str(steps),
        "trainer.val_every": str(steps),
        "trainer.log_every": "1",  # the loss of the first step is that of the initial weights
        "trainer.limit_test_batches": "1",  # chosen by val; the test set is for the report
        **{key: str(length) for key, length in lengths.items()},
        **{key: repr(rate) for key, rate in variant.rates_at(factor).items()},
    }
    kept = (text for text in variant.overrides if override_key(text) not in changed)
    return (*kept, *(f"{k}={v}" for k, v in changed.items()), *draw(variant, seed)), steps


def _shorter(key: str, length: int, steps: int) -> int:
    """A length of the schedule as a part of the budget."""
    part = round(length / SHARE)
    if key.endswith("warmup_steps"):
        return min(max(part, min(length, 1)), max(steps - 1, 0))
    return max(1, part)


def draw(variant: Variant, seed: int) -> list[str]:
    """The override of the seed; of a placebo that of its initial weights before it."""
    placebo = [f"{INIT_SEED}={seed + INIT_OFFSET}"] if variant.is_placebo else []
    return [*placebo, f"seed={seed}"]


def _folder(variant: Variant, factor: float, seed: int) -> str:
    key, rate = next(iter(variant.rates_at(factor).items()))
    name = job_name([*variant.compared, f"{key}={rate!r}", *draw(variant, seed)])
    return f"screening/{name}"

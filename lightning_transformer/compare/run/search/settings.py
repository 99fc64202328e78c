"""What a variant's runs are given by its own searches: a factor of its rates, and tuned values."""

from dataclasses import dataclass

from lightning_transformer.compare.run.outcome import Job, Outcomes
from lightning_transformer.compare.run.request import SCREENING_SEEDS
from lightning_transformer.compare.run.search.screening import (
    Screening,
    factor_of,
    first_factors,
    screening,
    screening_job,
)
from lightning_transformer.compare.run.search.tuning import (
    Tuning,
    n_tuning_runs,
    tuning,
    tuning_jobs,
)
from lightning_transformer.compare.run.variants import Variant


@dataclass(frozen=True)
class Settings:
    """The state of a variant's searches.

    Attributes:
        rates: None where they are as configured.
        keys: None until the rates are known, and where none are tuned.
        overrides: of its reported runs, by which it differs from its configuration; None while
            something is still to be chosen.
        pending: jobs that are still to be done.
    """

    rates: Screening | None
    keys: Tuning | None
    overrides: tuple[str, ...] | None
    pending: tuple[Job, ...]


def settings(variant: Variant, outcomes: Outcomes, index: int) -> Settings:
    """First the rates are chosen, then one tuned key after the other; index: of the variant."""
    rates, factor = None, 1.0
    if variant.rates:
        rates = screening(variant, outcomes)
        if rates.choice is None:
            jobs = (screening_job(variant, *one, index) for one in rates.pending)
            return Settings(rates, None, None, tuple(jobs))
        factor = factor_of(variant, rates.choice)
    keys = tuning(variant, factor, outcomes, index) if variant.tuned else None
    if keys is not None and keys.values is None:
        return Settings(rates, keys, None, keys.pending)
    chosen = {key: repr(rate) for key, rate in variant.rates_at(factor).items()}
    chosen |= keys.values or {} if keys is not None else {}
    return Settings(rates, keys, tuple(f"{k}={v}" for k, v in chosen.items()), ())


def n_search_runs(variant: Variant) -> int:
    """Runs that its searches take if nothing is widened."""
    n_rates = len(first_factors(variant)) if variant.rates else 0
    return n_rates * len(SCREENING_SEEDS) + n_tuning_runs(variant)


def jobs_to_come(variant: Variant, found: Settings, index: int) -> list[Job]:
    """Those of its tuned keys that wait for other choices, as if the first were taken."""
    if found.overrides is not None:
        return []
    begun = {*found.keys.keys, *found.keys.trying} if found.keys else set()
    firsts = {key: texts[0] for key, texts in variant.tuned.items()}
    return [
        job
        for key in variant.tuned
        if key not in begun
        for job in tuning_jobs(variant, 1.0, firsts, key, index)
    ]

"""The search for a value of each tuned key (`tune=KEY:A,B`), one key after the other.

After its rate is chosen, a variant runs each value with every tuning seed on part of the budget, at
the chosen rate, with the chosen values of the keys before and the first value of those behind. The
lowest mean validation loss decides; a tie goes to the value that was typed first.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightning_transformer.compare.report.choice.chosen import TunedKey
from lightning_transformer.compare.run.outcome import Job, Outcomes
from lightning_transformer.compare.run.request import TUNING_SEEDS
from lightning_transformer.compare.run.search.screening import draw, short_run
from lightning_transformer.compare.run.variants import Variant
from lightning_transformer.runs.naming import job_name


@dataclass(frozen=True)
class Tuning:
    """The state of the search for one variant.

    Attributes:
        keys: those of which all values have been tried, with their losses and choices.
        trying: the key that is being tried: value to losses so far; empty if none.
        pending: jobs that are still to be done for it.
    """

    keys: dict[str, TunedKey]
    trying: dict[str, dict[str, list[float | None]]]
    pending: tuple[Job, ...]

    @property
    def values(self) -> dict[str, str] | None:
        """Key to chosen value; None while jobs are pending."""
        return None if self.pending else {key: one.chosen for key, one in self.keys.items()}


def tuning(variant: Variant, factor: float, outcomes: Outcomes, index: int) -> Tuning:
    """What is known of the tuned keys at this factor of the rates; index: of the variant."""
    values = {key: texts[0] for key, texts in variant.tuned.items()}
    done: dict[str, TunedKey] = {}
    for key, texts in variant.tuned.items():
        losses: dict[str, list[float | None]] = {text: [] for text in texts}
        jobs = tuning_jobs(variant, factor, values, key, index)
        pending = [job for job in jobs if job.key not in outcomes]
        for job, (_, text) in zip(jobs, _runs(texts), strict=True):
            if outcome := outcomes.get(job.key):
                losses[text].append(None if outcome.diverged else outcome.loss)
        if pending:
            return Tuning(done, {key: losses}, tuple(pending))
        # The first of equal ones, as min takes it.
        values[key] = min(texts, key=lambda text: _mean(losses[text]))
        done[key] = TunedKey(losses, values[key])
    return Tuning(done, {}, ())


def n_tuning_runs(variant: Variant) -> int:
    """Runs that its tuned keys take."""
    return sum(map(len, variant.tuned.values())) * len(TUNING_SEEDS)


def _mean(losses: list[float | None]) -> float:
    known = [math.inf if loss is None else loss for loss in losses]
    return sum(known) / len(known)


def _runs(texts: Sequence[str]) -> list[tuple[int, str]]:
    """Seed and value of each run of a key."""
    return list(itertools.product(TUNING_SEEDS, texts))


def tuning_jobs(
    variant: Variant, factor: float, values: Mapping[str, str], key: str, index: int
) -> list[Job]:
    """The runs of all values of a key, by seed; values: of the keys, this one too."""
    rate = [f"{name}={rate!r}" for name, rate in variant.rates_at(factor).items()][:1]
    jobs = []
    for seed, text in _runs(variant.tuned[key]):
        here = {**values, key: text}
        overrides, steps = short_run(variant, factor, here, seed)
        tuned = [f"{k}={v}" for k, v in here.items()]
        name = job_name([*variant.compared, *rate, *tuned, *draw(variant, seed)])
        order = (0, 2 + list(variant.tuned).index(key), seed, 0, index)
        folder = f"screening/{name}"
        jobs.append(Job(folder, variant.label, overrides, None, steps, order, True))
    return jobs

"""What a comparison has to run next: a pure function of what has been run.

Nothing is remembered between two starts but the runs themselves, so a comparison that was killed
goes on by being asked again.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from lightning_transformer.compare.run import halving
from lightning_transformer.compare.run.outcome import Outcome
from lightning_transformer.compare.run.request import SCREENING_SEED, Request
from lightning_transformer.compare.run.variants import INIT_SEED, Variant
from lightning_transformer.runs.naming import job_name, override_key

FACTORS = (0.5, 1.0, 2.0)  # of the configured rate
SHARE = 4  # a screening run has this part of the budget
MAX_WIDENED = 3
PAUSE = "lightning_transformer.training.callbacks.pause.Pause"
INIT_OFFSET = 1_000_000  # the placebo draws its weights from seed + this

Key = tuple[str, int | None]  # folder and rung
Outcomes = Mapping[Key, Outcome]


@dataclass(frozen=True)
class Job:
    """One process: a run from where it stands to a rung, or to its end.

    Attributes:
        folder: below the comparison's own.
        until: the rung's step; None for the run's end.
        steps: at which it will stand then.
        order: what sorts jobs; those of one seed stand together, so that early answers are fair.
    """

    folder: str
    label: str
    overrides: tuple[str, ...]
    until: int | None
    steps: int
    order: tuple[int, ...]
    screening: bool = False

    @property
    def key(self) -> Key:
        return self.folder, self.until


@dataclass(frozen=True)
class Screening:
    """What is known of the learning rate of one variant; losses by factor, None = diverged."""

    losses: dict[float, float | None]
    pending: tuple[float, ...]
    chosen: float | None  # None while jobs are pending
    at_edge: bool = False
    start_loss: float | None = None
    widened: int = 0


class Plan:
    """The jobs of a comparison, and what follows from their outcomes."""

    def __init__(self, asked: Request, variants: Sequence[Variant]) -> None:
        self.asked = asked
        self.variants = list(variants)
        self.by_label = {variant.label: variant for variant in variants}
        n_contenders = sum(self._contends(variant) for variant in self.variants)
        self._n_rungs = halving.n_rungs(n_contenders, asked.halving or 2)

    @property
    def baseline(self) -> Variant:
        return self.variants[0]

    @property
    def screened(self) -> list[Variant]:
        """The variants that choose a rate of their own; the placebo takes the baseline's."""
        if self.asked.lr == "fixed":
            return []
        return [variant for variant in self.variants if not variant.is_placebo]

    def todo(self, outcomes: Outcomes) -> list[Job]:
        """The jobs that can be started now, in the order in which they should be."""
        jobs = [*self._screening_jobs(outcomes), *self._climb(outcomes)[0]]
        left = [job for job in jobs if job.key not in outcomes]
        return sorted(left, key=lambda job: job.order)

    def rest(self, outcomes: Outcomes) -> list[Job]:
        """All jobs that are left if nothing is widened or stopped early, for the time left."""
        stopped = self.stopped(outcomes)
        jobs = list(self._screening_jobs(outcomes))
        for variant in self.variants:
            if variant.label not in stopped:
                last = len(self.rungs(variant)) - 1
                jobs += [self.job(variant, seed, last, 1.0) for seed in self.asked.seeds]
        return [job for job in jobs if self._ended(job, outcomes) is None]

    # Learning rates

    def screening(self, variant: Variant, outcomes: Outcomes) -> Screening:
        """The losses so far, the rates that are still to be tried, and the choice."""
        factors, widened = list(FACTORS), 0
        while True:
            found = {f: outcomes.get(self.screening_job(variant, f).key) for f in factors}
            ended = {f: outcome for f, outcome in found.items() if outcome is not None}
            start = ended.get(1.0)
            losses = {f: None if o.diverged else o.loss for f, o in sorted(ended.items())}
            pending = tuple(f for f in factors if f not in ended)
            start_loss = None if start is None else start.start_loss
            if pending:
                return Screening(losses, pending, None, False, start_loss, widened)
            # A tie goes to the lower rate; where all diverge, lower ones are tried.
            best = min(losses, key=lambda f: (_or_worst(losses[f]), f))
            edges = {min(losses): min(losses) / 2, max(losses): max(losses) * 2}
            if best not in edges or widened == MAX_WIDENED:
                if losses[best] is None:
                    best = 1.0
                return Screening(losses, (), best, best in edges, start_loss, widened)
            factors.append(edges[best])
            widened += 1

    def screening_job(self, variant: Variant, factor: float) -> Job:
        steps = max(1, variant.steps // SHARE)
        lengths = {
            key: min(max(round(value / SHARE), min(value, 1)), max(steps - 1, 0))
            if key.endswith("warmup_steps")
            else max(1, round(value / SHARE))
            for key, value in variant.lengths.items()
        }
        rates = rates_at(variant, factor)
        main = f"{next(iter(rates))}={next(iter(rates.values()))!r}"
        changed = {
            "trainer.max_steps": steps,
            "trainer.val_every": steps,
            "trainer.log_every": 1,  # the loss of the first step is that of the initial weights
            "trainer.limit_test_batches": 1,  # rates are chosen on val; test is looked at later
            **lengths,
            **{key: repr(rate) for key, rate in rates.items()},
        }
        kept = (text for text in variant.overrides if override_key(text) not in changed)
        overrides = (*kept, *(f"{k}={v}" for k, v in changed.items()), f"seed={SCREENING_SEED}")
        name = job_name([*_says(variant), main])
        index = self.variants.index(variant)
        order = (0, int(factor not in FACTORS), int(factor != 1.0), index)
        return Job(f"screening/{name}", variant.label, overrides, None, steps, order, True)

    def _screening_jobs(self, outcomes: Outcomes) -> Iterator[Job]:
        for variant in self.screened:
            for factor in self.screening(variant, outcomes).pending:
                yield self.screening_job(variant, factor)

    def factor(self, variant: Variant, outcomes: Outcomes) -> float | None:
        """What the rates are multiplied by; None while it is not chosen."""
        if self.asked.lr == "fixed":
            return 1.0
        chooser = self.baseline if variant.is_placebo else variant
        return self.screening(chooser, outcomes).chosen

    # Reporting runs and rungs

    def rungs(self, variant: Variant) -> list[int | None]:
        """The steps at which its runs pause, then None for the end; ascending."""
        factor = self.asked.halving
        if factor is None:
            return [None]
        return halving.rungs(variant.steps, self.val_every(variant), factor, self._n_rungs)

    def val_every(self, variant: Variant) -> int:
        """Steps between the validations of its runs."""
        factor = self.asked.halving
        if factor is None:
            return variant.val_every
        return halving.val_every(variant.steps, variant.val_every, factor, self._n_rungs)

    def _contends(self, variant: Variant) -> bool:
        """Whether it can be stopped: the baseline and its double go on to the end."""
        return variant is not self.baseline and not variant.is_placebo

    def job(self, variant: Variant, seed: int, rung: int, factor: float) -> Job:
        """The run of one variant and seed up to a rung."""
        rungs = self.rungs(variant)
        until = rungs[min(rung, len(rungs) - 1)]  # -1 is the end
        drawn = [f"{INIT_SEED}={seed + INIT_OFFSET}"] if variant.is_placebo else []
        rates = rates_at(variant, factor)
        overrides = [*variant.overrides, *drawn, *(f"{k}={v!r}" for k, v in rates.items())]
        if self.asked.halving:
            overrides = [text for text in overrides if not text.startswith("trainer.val_every=")]
            overrides += [
                f"trainer.val_every={self.val_every(variant)}",
                f"+callbacks.pause._target_={PAUSE}",
                f"+callbacks.pause.step={until or variant.steps}",
            ]
        overrides.append(f"seed={seed}")
        seed_order = self.asked.seeds.index(seed)
        name = job_name([*_says(variant), *drawn, f"seed={seed}"])
        order = (1, rung, seed_order, self.variants.index(variant))
        return Job(name, variant.label, tuple(overrides), until, until or variant.steps, order)

    def stopped(self, outcomes: Outcomes) -> dict[str, tuple[int, str]]:
        """Label to the step at which it was stopped early, and why."""
        return self._climb(outcomes)[1]

    def _climb(self, outcomes: Outcomes) -> tuple[list[Job], dict[str, tuple[int, str]]]:
        """The reporting jobs that can be started, and the variants that were stopped.

        A rung is left when all runs have reached it: only then is known who goes on.
        """
        stopped: dict[str, tuple[int, str]] = {}
        alive, n = self.variants, max(len(self.rungs(variant)) for variant in self.variants)
        for rung in range(n):
            jobs, complete = self._open_at(rung, alive, outcomes)
            if self.asked.halving is None or rung == n - 1 or jobs or not complete:
                return jobs, stopped
            losses = {
                v.label: mean(_loss(self._ended(job, outcomes)) for job in self._row(v, rung, 1.0))
                for v in alive
                if self._contends(v)
            }
            steps = {variant.label: self._row(variant, rung, 1.0)[0].steps for variant in alive}
            reasons = halving.stopped_at(losses, steps, self.asked.halving)
            stopped |= {label: (steps[label], reason) for label, reason in reasons.items()}
            alive = [variant for variant in alive if variant.label not in stopped]
        raise AssertionError("the last rung returns")

    def _open_at(
        self, rung: int, alive: Sequence[Variant], outcomes: Outcomes
    ) -> tuple[list[Job], bool]:
        """The jobs that are left up to a rung, and whether all rates are known by now."""
        factors = {variant.label: self.factor(variant, outcomes) for variant in alive}
        jobs = [
            job
            for variant in alive
            if (factor := factors[variant.label]) is not None
            for job in self._row(variant, rung, factor)
            if self._ended(job, outcomes) is None
        ]
        return jobs, None not in factors.values()

    def _row(self, variant: Variant, rung: int, factor: float) -> list[Job]:
        """One job per seed."""
        return [self.job(variant, seed, rung, factor) for seed in self.asked.seeds]

    def _ended(self, job: Job, outcomes: Outcomes) -> Outcome | None:
        """How a run stood at a rung, or how it ended before."""
        for until in self.rungs(self.by_label[job.label]):
            outcome = outcomes.get((job.folder, until))
            if outcome is not None and (until == job.until or outcome.state != "paused"):
                return outcome
            if until == job.until:
                break
        return None


def rates_at(variant: Variant, factor: float) -> dict[str, float]:
    """The learning rates of a variant, all times the factor."""
    return {key: rate * factor for key, rate in variant.rates.items()}


def _says(variant: Variant) -> list[str]:
    return [f"{key}={value}" for key, value in variant.values.items()]


def _or_worst(loss: float | None) -> float:
    return math.inf if loss is None else loss


def _loss(outcome: Outcome | None) -> float:
    """Of one run at a rung; infinite where it diverged or failed."""
    return math.inf if outcome is None or outcome.diverged else _or_worst(outcome.loss)

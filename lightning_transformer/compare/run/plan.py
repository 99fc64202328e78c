"""The jobs that a comparison has to run next: a pure function of the outcomes so far.

Nothing is remembered between two starts but the runs themselves, so the same command continues a
comparison that was killed.
"""

from collections.abc import Iterator, Sequence
from statistics import mean

from lightning_transformer.compare.report.comparison import EarlyStop
from lightning_transformer.compare.run.lr_search import Halving, screening, screening_job
from lightning_transformer.compare.run.outcome import Job, Outcome, Outcomes
from lightning_transformer.compare.run.request import Request
from lightning_transformer.compare.run.variants import INIT_SEED, Variant
from lightning_transformer.runs.naming import job_name

PAUSE = "lightning_transformer.training.callbacks.pause.Pause"
INIT_OFFSET = 1_000_000  # the placebo draws its weights from seed + this


class Plan:
    """The jobs of a comparison, and what follows from their outcomes.

    Attributes:
        baseline: the first variant.
        screened: variants that choose a rate of their own; the placebo takes the baseline's.
        halving: the rungs, and which variants continue.
    """

    def __init__(self, request: Request, variants: Sequence[Variant]) -> None:
        self.request = request
        self.variants = list(variants)
        self.baseline = self.variants[0]
        self.by_label = {variant.label: variant for variant in variants}
        own_rates = [variant for variant in self.variants if not variant.is_placebo]
        self.screened = [] if request.lr == "fixed" else own_rates
        self.halving = Halving(request.halving, len(own_rates) - 1)

    def todo(self, outcomes: Outcomes) -> list[Job]:
        """The jobs that can be started now, in order of priority."""
        jobs = [*self._screening_jobs(outcomes), *self._climb(outcomes)[0]]
        left = [job for job in jobs if job.key not in outcomes]
        return sorted(left, key=lambda job: job.order)

    def rest(self, outcomes: Outcomes) -> list[Job]:
        """All jobs that are left if nothing is widened or stopped early, for the time left."""
        stopped = self.stopped(outcomes)
        jobs = list(self._screening_jobs(outcomes))
        for variant in self.variants:
            if variant.label not in stopped:
                jobs += self._row(variant, -1, 1.0)
        return [job for job in jobs if self._ended(job, outcomes) is None]

    def stopped(self, outcomes: Outcomes) -> dict[str, EarlyStop]:
        """The variants that were stopped, by label."""
        return self._climb(outcomes)[1]

    def job(self, variant: Variant, seed: int, rung: int, factor: float) -> Job:
        """The reported run of one variant and seed up to a rung; -1 is its end."""
        rungs = self.halving.rungs(variant)
        until = rungs[min(rung, len(rungs) - 1)]
        draw = [f"{INIT_SEED}={seed + INIT_OFFSET}"] if variant.is_placebo else []
        rates = [f"{key}={rate!r}" for key, rate in variant.rates_at(factor).items()]
        overrides = [*variant.overrides, *draw, *rates]
        if self.request.halving:
            overrides = [text for text in overrides if not text.startswith("trainer.val_every=")]
            overrides += [
                f"trainer.val_every={self.halving.val_every(variant)}",
                f"+callbacks.pause._target_={PAUSE}",
                f"+callbacks.pause.step={until or variant.steps}",
            ]
        overrides.append(f"seed={seed}")
        name = job_name([*variant.compared, *draw, f"seed={seed}"])
        order = (1, rung, self.request.seeds.index(seed), self.variants.index(variant))
        return Job(name, variant.label, tuple(overrides), until, until or variant.steps, order)

    def _screening_jobs(self, outcomes: Outcomes) -> Iterator[Job]:
        for variant in self.screened:
            for factor in screening(variant, outcomes).pending:
                yield screening_job(variant, factor, self.variants.index(variant))

    def _factor(self, variant: Variant, outcomes: Outcomes) -> float | None:
        """The factor of its rates; None while it is not chosen."""
        if self.request.lr == "fixed":
            return 1.0
        return screening(self.baseline if variant.is_placebo else variant, outcomes).chosen

    def _climb(self, outcomes: Outcomes) -> tuple[list[Job], dict[str, EarlyStop]]:
        """The reporting jobs that can be started, and the variants that were stopped.

        A rung is left when all runs have reached it: only then can the best be chosen.
        """
        stopped: dict[str, EarlyStop] = {}
        alive = self.variants
        n = max(len(self.halving.rungs(variant)) for variant in self.variants)
        for rung in range(n):
            jobs, complete = self._open_at(rung, alive, outcomes)
            if rung == n - 1 or jobs or not complete:
                return jobs, stopped
            rows = {variant.label: self._row(variant, rung, 1.0) for variant in alive}
            losses = {
                label: mean(_rank_loss(self._ended(job, outcomes)) for job in row)
                for label, row in rows.items()
                if label != self.baseline.label and not self.by_label[label].is_placebo
            }
            steps = {label: row[0].steps for label, row in rows.items()}
            stopped |= self.halving.stopped_at(losses, steps)
            alive = [variant for variant in alive if variant.label not in stopped]
        raise AssertionError("the last rung returns")

    def _open_at(
        self, rung: int, alive: Sequence[Variant], outcomes: Outcomes
    ) -> tuple[list[Job], bool]:
        """The jobs that are left up to a rung, and whether all rates are known by now."""
        factors = {variant.label: self._factor(variant, outcomes) for variant in alive}
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
        return [self.job(variant, seed, rung, factor) for seed in self.request.seeds]

    def _ended(self, job: Job, outcomes: Outcomes) -> Outcome | None:
        """The outcome of a run at a rung, or how it ended before."""
        for until in self.halving.rungs(self.by_label[job.label]):
            outcome = outcomes.get((job.folder, until))
            if outcome is not None and (until == job.until or outcome.state != "paused"):
                return outcome
            if until == job.until:
                break
        return None


def _rank_loss(outcome: Outcome | None) -> float:
    assert outcome is not None, "a rung is left when all runs have reached it"
    return outcome.rank_loss

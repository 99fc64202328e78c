"""The jobs that a comparison has to run next: a pure function of the outcomes so far.

Nothing is remembered between two starts but the runs themselves, so the same command continues a
comparison that was killed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from lightning_transformer.compare.report.comparison import EarlyStop
from lightning_transformer.compare.run.outcome import Job, Outcome, Outcomes
from lightning_transformer.compare.run.request import RANKING_SEEDS, Request
from lightning_transformer.compare.run.search.halving import Halving
from lightning_transformer.compare.run.search.screening import draw
from lightning_transformer.compare.run.search.settings import Settings, jobs_to_come, settings
from lightning_transformer.compare.run.variants import Variant
from lightning_transformer.runs.naming import job_name

PAUSE = "lightning_transformer.training.callbacks.pause.Pause"


@dataclass(frozen=True)
class Ranking:
    """The state of halving.

    Attributes:
        jobs: that are to be done now.
        stopped: label to where and why, of those that get no reported runs.
        is_over: whether it is known which contenders are left.
    """

    jobs: list[Job]
    stopped: dict[str, EarlyStop]
    is_over: bool


class Plan:
    """The jobs of a comparison, and what follows from their outcomes.

    Attributes:
        baseline: the first variant.
        contenders: variants that halving can stop.
        screened: variants that choose a rate or a tuned key: all, the placebo too, or none.
        halving: the rungs, and which variants continue.
        n_seeds: label to how many of the seeds it is run with.
    """

    def __init__(
        self,
        request: Request,
        variants: Sequence[Variant],
        n_seeds: Mapping[str, int] | None = None,
    ) -> None:
        self.request = request
        self.variants = list(variants)
        self.n_seeds = n_seeds or {variant.label: request.first for variant in variants}
        self.baseline = self.variants[0]
        self.by_label = {variant.label: variant for variant in variants}
        self.contenders = [variant for variant in self.variants[1:] if not variant.is_placebo]
        self.screened = [variant for variant in self.variants if variant.rates or variant.tuned]
        self.halving = Halving(request.halving, len(self.contenders))

    def settings(self, variant: Variant, outcomes: Outcomes) -> Settings:
        """What its searches have found, and what they still have to run."""
        return settings(variant, outcomes, self.variants.index(variant))

    def _all_settings(self, outcomes: Outcomes) -> dict[str, Settings]:
        return {variant.label: self.settings(variant, outcomes) for variant in self.variants}

    def todo(self, outcomes: Outcomes) -> list[Job]:
        """The jobs that can be started now, in order of priority."""
        found = self._all_settings(outcomes)
        ranking = self._ranking(found, outcomes)
        jobs = [job for one in found.values() for job in one.pending] + ranking.jobs
        for variant in self.variants:
            ready = ranking.is_over or variant not in self.contenders
            chosen = found[variant.label].overrides
            if ready and chosen is not None and variant.label not in ranking.stopped:
                jobs += self._row(variant, chosen)
        return sorted((job for job in jobs if job.key not in outcomes), key=lambda job: job.order)

    def rest(self, outcomes: Outcomes) -> list[Job]:
        """All jobs that are left if nothing is widened, for the time left.

        Of contenders that are still to be ranked, the first go on.
        """
        jobs: list[Job] = []
        found = self._all_settings(outcomes)
        ranking = self._ranking(found, outcomes)
        alive = [one for one in self.contenders if one.label not in ranking.stopped]
        if not ranking.is_over:
            last = {variant.label: 0 for variant in alive}
            for rung in range(self._n_rungs()):
                last |= {variant.label: rung for variant in alive}
                alive = alive[: self.halving.n_kept(len(alive))]
            for label, rung in last.items():
                chosen = found[label].overrides or ()
                row = self._ranking_row(self.by_label[label], rung, chosen)
                jobs += [job for job in row if self._ended(job, outcomes) is None]
        for index, variant in enumerate(self.variants):
            one = found[variant.label]
            jobs += [*one.pending, *jobs_to_come(variant, one, index)]
            if variant in alive or variant not in self.contenders:
                row = self._row(variant, one.overrides or ())
                jobs += [job for job in row if job.key not in outcomes]
        return jobs

    def stopped(self, outcomes: Outcomes) -> dict[str, EarlyStop]:
        """The variants that were stopped, by label."""
        found = self._all_settings(outcomes)
        return self._ranking(found, outcomes).stopped

    def stage(self, outcomes: Outcomes) -> str:
        """``screening``, ``ranking``, ``runs`` or ``done``."""
        found = self._all_settings(outcomes)
        if any(one.overrides is None for one in found.values()):
            return "screening"
        if not self._ranking(found, outcomes).is_over:
            return "ranking"
        return "runs" if self.todo(outcomes) else "done"

    def job(self, variant: Variant, seed: int, chosen: Sequence[str]) -> Job:
        """The reported run of one variant and seed; chosen: overrides that its searches gave."""
        drawn = draw(variant, seed)
        name = job_name([*variant.compared, *drawn])
        order = (2, 0, self.request.seeds.index(seed), self.variants.index(variant))
        overrides = (*variant.overrides, *chosen, *drawn)
        return Job(name, variant.label, overrides, None, variant.steps, order)

    def ranking_job(self, variant: Variant, seed: int, rung: int, chosen: Sequence[str]) -> Job:
        """The run by which a contender is ranked, up to a rung."""
        rungs: list[int | None] = [*self.halving.rungs(variant)] or [None]
        until = rungs[min(rung, len(rungs) - 1)]
        kept = [text for text in variant.overrides if not text.startswith("trainer.val_every=")]
        overrides = (
            *kept,
            *chosen,
            f"trainer.val_every={self.halving.val_every(variant)}",
            "trainer.limit_test_batches=1",  # the test set is for the report
            f"+callbacks.pause._target_={PAUSE}",
            f"+callbacks.pause.step={until or variant.steps}",
            *draw(variant, seed),
        )
        name = f"ranking/{job_name([*variant.compared, *draw(variant, seed)])}"
        order = (1, rung, seed, self.variants.index(variant))
        return Job(name, variant.label, overrides, until, until or variant.steps, order)

    def _ranking(self, found: dict[str, Settings], outcomes: Outcomes) -> Ranking:
        """Where halving stands.

        A rung is left when all runs have reached it: only then can the best be chosen.
        """
        stopped: dict[str, EarlyStop] = {}
        alive = self.contenders
        for rung in range(self._n_rungs()):
            rows = {
                variant.label: self._ranking_row(variant, rung, chosen)
                for variant in alive
                if (chosen := found[variant.label].overrides) is not None
            }
            jobs = [j for row in rows.values() for j in row if self._ended(j, outcomes) is None]
            if jobs or len(rows) < len(alive):
                return Ranking(jobs, stopped, is_over=False)
            losses = {
                label: mean(_rank_loss(self._ended(job, outcomes)) for job in row)
                for label, row in rows.items()
            }
            steps = {label: row[0].steps for label, row in rows.items()}
            stopped |= self.halving.stopped_at(losses, steps)
            alive = [variant for variant in alive if variant.label not in stopped]
        return Ranking([], stopped, is_over=True)

    def _row(self, variant: Variant, chosen: Sequence[str]) -> list[Job]:
        """One reported job per seed that the variant has so far."""
        seeds = self.request.seeds[: self.n_seeds[variant.label]]
        return [self.job(variant, seed, chosen) for seed in seeds]

    def _ranking_row(self, variant: Variant, rung: int, chosen: Sequence[str]) -> list[Job]:
        """One job per ranking seed."""
        return [self.ranking_job(variant, seed, rung, chosen) for seed in RANKING_SEEDS]

    def _n_rungs(self) -> int:
        if self.request.halving is None:
            return 0
        return max([1, *(len(self.halving.rungs(variant)) for variant in self.contenders)])

    def _ended(self, job: Job, outcomes: Outcomes) -> Outcome | None:
        """The outcome of a ranking run at a rung, or how it ended before."""
        rungs: list[int | None] = [*self.halving.rungs(self.by_label[job.label])] or [None]
        for until in rungs:
            outcome = outcomes.get((job.folder, until))
            if outcome is not None and (until == job.until or outcome.state != "paused"):
                return outcome
            if until == job.until:
                break
        return None


def _rank_loss(outcome: Outcome | None) -> float:
    assert outcome is not None, "a rung is left when all runs have reached it"
    return outcome.rank_loss

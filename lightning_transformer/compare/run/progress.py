"""What a person sees of a comparison: the plan, the way it goes, the time that is left."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from lightning_transformer.compare.run.machine import Machine
from lightning_transformer.compare.run.outcome import steps_done
from lightning_transformer.compare.run.plan import FACTORS, SHARE, Job, Plan
from lightning_transformer.compare.run.scheduler import Pool
from lightning_transformer.compare.run.variants import Variant, seeds_text

START_UP = 3.0  # seconds that a job takes before its first step and after its last
GUESSED_SPEED = 3e10  # FLOP/s of one core in such models, before anything is measured


def plan_table(plan: Plan) -> Table:
    """One row per variant: what will be run."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("variant", overflow="fold")
    for name in ("screening", "steps", "runs", "steps"):
        table.add_column(name, justify="right")
    table.add_column("rungs" if plan.asked.halving else "")
    for variant in plan.variants:
        screened = variant in plan.screened
        pauses = [str(step) for step in plan.rungs(variant) if step is not None]
        said = " (baseline)" if variant is plan.baseline else ""
        table.add_row(
            escape(variant.label) + said,
            str(len(FACTORS)) if screened else "-",
            f"{max(1, variant.steps // SHARE):,}" if screened else "-",
            str(len(plan.asked.seeds)),
            f"{variant.steps:,}",
            ", ".join(pauses),
        )
    return table


def show_plan(console: Console, plan: Plan, pool: Pool, machine: Machine, folder: Path) -> None:
    """The table, then how long and where."""
    console.print(plan_table(plan))
    for line in plan_lines(plan, pool, machine, folder):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def plan_lines(plan: Plan, pool: Pool, machine: Machine, folder: Path) -> list[str]:
    """What the table does not say."""
    asked, left = plan.asked, plan.rest(pool.outcomes)
    lines = [f"seeds     {seeds_text(asked)}"]
    if asked.lr == "fixed":
        lines.append("lr        as configured, not tuned per variant")
    else:
        lines.append(
            "lr        1/2, 1 and 2 times the configured rate per variant, a quarter of the "
            "steps, chosen on val/loss; widened at an edge"
        )
    if asked.halving and plan.val_every(plan.baseline) != plan.baseline.val_every:
        lines.append(f"val_every {plan.val_every(plan.baseline)}, so that rungs are validated")
    before = f", {len(pool.outcomes)} done before" if pool.outcomes else ""
    lines.append(f"to do     {len(left)} jobs of {sum(j.steps for j in left):,} steps{before}")
    lines.append(f"machine   {machine}")
    seconds, source = Clock(plan, pool).left()
    lines.append(f"time      {source if seconds is None else f'{duration(seconds)} ({source})'}")
    return [*lines, f"folder    {folder}"]


class Clock:
    """Estimates the time that is left from the runs that have finished."""

    def __init__(self, plan: Plan, pool: Pool) -> None:
        self.plan, self.pool = plan, pool

    def left(self) -> tuple[float | None, str]:
        """Seconds that all jobs will take from now, and what that is taken from."""
        speeds, source = self._speeds()
        if speeds is None:
            return None, "not known before the first runs have finished"
        seconds = 0.0
        for job in self.plan.rest(self.pool.outcomes):
            seconds += START_UP + job.steps * speeds[job.label]
        for slot in self.pool.slots.values():
            spent = time.monotonic() - slot.since
            seconds -= min(spent, START_UP + slot.job.steps * speeds[slot.job.label])
        return seconds / self.pool.n_workers, source

    def _speeds(self) -> tuple[dict[str, float] | None, str]:
        """Seconds per step of each variant."""
        spent: dict[str, list[float]] = {}
        jobs = {job.key: job.label for job in self._known_jobs()}
        for key, outcome in self.pool.outcomes.items():
            if outcome.seconds and outcome.step and key in jobs:
                spent.setdefault(jobs[key], []).append(outcome.seconds / outcome.step)
        if spent:
            means = {label: sum(values) / len(values) for label, values in spent.items()}
            usual = sum(means.values()) / len(means)
            source = "measured on the runs that have finished"
            return {v.label: means.get(v.label, usual) for v in self.plan.variants}, source
        guesses = {variant.label: _guess(variant) for variant in self.plan.variants}
        known = {label: guess for label, guess in guesses.items() if guess is not None}
        if len(known) < len(guesses):
            return None, ""
        return known, "a guess from the sizes, for one core per job"

    def _known_jobs(self) -> list[Job]:
        jobs = []
        for variant in self.plan.variants:
            if variant in self.plan.screened:
                losses = self.plan.screening(variant, self.pool.outcomes).losses
                jobs += [self.plan.screening_job(variant, factor) for factor in losses]
            last = len(self.plan.rungs(variant)) - 1
            jobs += [self.plan.job(variant, seed, last, 1.0) for seed in self.plan.asked.seeds]
        return jobs


def _guess(variant: Variant) -> float | None:
    on_cpu = variant.accelerator == "cpu" or variant.accelerator == "auto"
    return variant.flops / GUESSED_SPEED if variant.flops and on_cpu else None


def duration(seconds: float) -> str:
    """`3 h 20 min`, `12 min`, `40 s`."""
    seconds = max(seconds, 0.0)
    if seconds >= 3600:
        return f"about {seconds // 3600:.0f} h {seconds % 3600 / 60:.0f} min"
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"


class Screen:
    """Progress over all runs: a live display in a terminal, else a line per job."""

    def __init__(self, console: Console, plan: Plan, pool: Pool, folder: Path) -> None:
        self.console, self.plan, self.pool, self.folder = console, plan, pool, folder
        self.clock = Clock(plan, pool)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._next = 0.0

    def __enter__(self) -> "Screen":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def said(self, line: str) -> None:
        """A job has ended."""
        n_left = len(self.plan.rest(self.pool.outcomes))
        tail = "" if self.console.is_terminal else f"  [{self._counts(n_left)}]"
        self.console.print(f"{line}{tail}", markup=False, highlight=False, soft_wrap=True)

    def tick(self) -> None:
        """Show how far the jobs are, once a second; reading their files takes a moment."""
        if not self.console.is_terminal or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 1.0
        table = Table(box=None, pad_edge=False, show_header=False)
        for slot in self.pool.slots.values():
            job, done = slot.job, steps_done(self.folder / slot.job.folder)
            bar = ProgressBar(total=job.steps, completed=min(done, job.steps), width=20)
            table.add_row(bar, f"{done:,}/{job.steps:,}", escape(job.folder))
        n_left = len(self.plan.rest(self.pool.outcomes))
        self._live.update(Group(table, self._counts(n_left)), refresh=True)

    def _counts(self, n_left: int) -> str:
        seconds, _ = self.clock.left()
        left = "" if seconds is None else f", {duration(seconds)} left"
        return f"{len(self.pool.outcomes)} done, {n_left} to do{left}"


Say = Callable[[str], None]

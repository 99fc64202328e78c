"""What `compare run` prints: the plan, its progress, the time that is left."""

import time
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from lightning_transformer.compare.report.comparison import RateSearch
from lightning_transformer.compare.run.lr_search import FACTORS, SHARE
from lightning_transformer.compare.run.machine import Machine
from lightning_transformer.compare.run.outcome import steps_done
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.request import SCREENING_SEED
from lightning_transformer.compare.run.scheduler import Pool
from lightning_transformer.compare.run.state import State

START_UP = 3.0  # seconds that a job takes before its first step and after its last
GUESSED_SPEED = 3e10  # FLOP/s of one core in such models, before anything is measured


def show_plan(
    console: Console, plan: Plan, pool: Pool, machine: Machine, folder: Path, state: State
) -> None:
    """The variants, then how long and where, and what match= has changed."""
    console.print(plan_table(plan))
    for line in [*plan_lines(plan, pool, machine, folder), *match_lines(plan, state)]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def plan_table(plan: Plan) -> Table:
    """One row per variant: what will be run."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("variant", overflow="fold")
    for name in ("screening", "steps", "runs", "steps"):
        table.add_column(name, justify="right")
    table.add_column("rungs" if plan.asked.halving else "")
    for variant in plan.variants:
        screened = variant in plan.screened
        table.add_row(
            escape(variant.label) + (" (baseline)" if variant is plan.baseline else ""),
            str(len(FACTORS)) if screened else "-",
            f"{max(1, variant.steps // SHARE):,}" if screened else "-",
            str(len(plan.asked.seeds)),
            f"{variant.steps:,}",
            ", ".join(str(step) for step in plan.halving.rungs(variant) if step is not None),
        )
    return table


def plan_lines(plan: Plan, pool: Pool, machine: Machine, folder: Path) -> list[str]:
    """The rest of the plan: seeds, learning rates, amount of work, machine, time, folder."""
    asked, left = plan.asked, plan.rest(pool.outcomes)
    seeds, val_every = ", ".join(map(str, asked.seeds)), plan.halving.val_every(plan.baseline)
    if asked.lr == "fixed":
        lines = [f"seeds     {seeds}", "lr        as configured, not tuned per variant"]
    else:
        lines = [
            f"seeds     {seeds}; learning rates with {SCREENING_SEED}",
            "lr        1/2, 1 and 2 times the configured rate per variant, a quarter of the "
            "steps, chosen by val/loss; widened at an edge",
        ]
    if val_every != plan.baseline.val_every:
        lines.append(f"val_every {val_every}, so that rungs are validated")
    before = f", {len(pool.outcomes)} done before" if pool.outcomes else ""
    seconds, source = Clock(plan, pool).left()
    return [
        *lines,
        f"to do     {len(left)} jobs of {sum(job.steps for job in left):,} steps{before}",
        f"machine   {machine}",
        f"time      {source if seconds is None else f'{duration(seconds)} ({source})'}",
        f"folder    {folder}",
    ]


def match_lines(plan: Plan, state: State) -> list[str]:
    """What was changed in each variant so that it is like the baseline, and how near that is."""
    lines = []
    for label, found in state.matches.items():
        changes = ", ".join(f"{key}={value}" for key, value in found.changes.items())
        changes = changes or "unchanged"
        lines.append(f"match     {plan.baseline.axis}: {label} {changes} ({found.residual:+.2%})")
    return lines


def rate_lines(rates: RateSearch) -> list[str]:
    """Which learning rate each variant got, and how it was found."""
    lines = []
    for label, chosen in rates.chosen.items():
        tried = sorted(map(float, rates.screening[label]))
        how = f"{len(tried)} tried from {tried[0]:g} to {tried[-1]:g}"
        if times := rates.widened[label]:
            how += f", widened {times} time{'s' if times > 1 else ''}"
        if not any(loss is not None for loss in rates.screening[label].values()):
            how += "; all diverged, so the configured one is used"
        if label in rates.at_edge:
            how += "; the best is still at the edge"
        lines.append(f"lr        {label}: {chosen:g} ({how})")
    return lines


class Clock:
    """Estimates the time that is left from the runs that have finished."""

    def __init__(self, plan: Plan, pool: Pool) -> None:
        self.plan, self.pool = plan, pool

    def left(self) -> tuple[float | None, str]:
        """Seconds that all jobs will take from now, and how that was estimated."""
        speeds, source = self._step_seconds()
        if speeds is None:
            return None, "not known before the first runs have finished"
        seconds = 0.0
        for job in self.plan.rest(self.pool.outcomes):
            seconds += START_UP + job.steps * speeds[job.label]
        for slot in self.pool.slots.values():
            spent = time.monotonic() - slot.since
            seconds -= min(spent, START_UP + slot.job.steps * speeds[slot.job.label])
        return seconds / self.pool.n_workers, source

    def _step_seconds(self) -> tuple[dict[str, float] | None, str]:
        """Of each variant."""
        if measured := self.pool.step_seconds:
            means = {label: sum(values) / len(values) for label, values in measured.items()}
            usual = sum(means.values()) / len(means)
            source = "measured on the runs that have finished"
            return {label: means.get(label, usual) for label in self.plan.by_label}, source
        guesses = {
            variant.label: variant.flops / GUESSED_SPEED
            for variant in self.plan.variants
            if variant.flops and variant.accelerator in ("cpu", "auto")
        }
        if len(guesses) < len(self.plan.variants):
            return None, ""
        return guesses, "a guess from the sizes, for one core per job"


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
        self._live.stop()

    def job_ended(self, line: str) -> None:
        """Print the line of a job."""
        tail = "" if self.console.is_terminal else f"  [{self._counts()}]"
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
        self._live.update(Group(table, self._counts()), refresh=True)

    def _counts(self) -> str:
        seconds, _ = self.clock.left()
        left = "" if seconds is None else f", {duration(seconds)} left"
        n_left = len(self.plan.rest(self.pool.outcomes))
        return f"{len(self.pool.outcomes)} done, {n_left} to do{left}"

"""What `compare run` prints: the plan, its progress, the time that is left."""

import time
from statistics import mean

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

START_UP = 3.0  # seconds that a job takes before its first step and after its last
GUESSED_SPEED = 3e10  # FLOP/s of one core in such models, before anything is measured


def show_plan(console: Console, pool: Pool, machine: Machine) -> None:
    """Print the variants, the amount of work, and what match= has changed."""
    console.print(plan_table(pool.plan))
    for line in [*plan_lines(pool, machine), *match_lines(pool)]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def plan_table(plan: Plan) -> Table:
    """One row per variant: what will be run."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("variant", overflow="fold")
    for name in ("screening", "steps", "runs", "steps"):
        table.add_column(name, justify="right")
    table.add_column("rungs" if plan.request.halving else "")
    for variant in plan.variants:
        screened = variant in plan.screened
        table.add_row(
            escape(variant.label) + (" (baseline)" if variant is plan.baseline else ""),
            str(len(FACTORS)) if screened else "-",
            f"{max(1, variant.steps // SHARE):,}" if screened else "-",
            str(len(plan.request.seeds)),
            f"{variant.steps:,}",
            ", ".join(str(step) for step in plan.halving.rungs(variant) if step is not None),
        )
    return table


def plan_lines(pool: Pool, machine: Machine) -> list[str]:
    """The rest of the plan: seeds, learning rates, amount of work, machine, time, folder."""
    plan, request, left = pool.plan, pool.plan.request, pool.plan.rest(pool.outcomes)
    seeds, val_every = ", ".join(map(str, request.seeds)), plan.halving.val_every(plan.baseline)
    if request.lr == "fixed":
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
    seconds, source = time_left(pool)
    return [
        *lines,
        f"to do     {len(left)} jobs of {sum(job.steps for job in left):,} steps{before}",
        f"machine   {machine}",
        f"time      {source if seconds is None else f'{duration(seconds)} ({source})'}",
        f"folder    {pool.folder}",
    ]


def match_lines(pool: Pool) -> list[str]:
    """The changes by match= to each variant, and the difference from the baseline that is left."""
    lines = []
    for label, found in pool.state.matches.items():
        changes = ", ".join(f"{key}={value}" for key, value in found.changes.items())
        what = f"{pool.plan.baseline.axis}: {label} {changes or 'unchanged'}"
        lines.append(f"match     {what} ({found.residual:+.2%})")
    return lines


def rate_lines(rates: RateSearch) -> list[str]:
    """The learning rate of each variant, and how it was found."""
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


def time_left(pool: Pool) -> tuple[float | None, str]:
    """Seconds that all jobs will take from now, and how that was estimated."""
    speeds, source = _step_seconds(pool)
    if speeds is None:
        return None, "not known before the first runs have finished"
    seconds = 0.0
    for job in pool.plan.rest(pool.outcomes):
        seconds += START_UP + job.steps * speeds[job.label]
    for slot in pool.slots.values():
        spent = time.monotonic() - slot.since
        seconds -= min(spent, START_UP + slot.job.steps * speeds[slot.job.label])
    return seconds / pool.n_workers, source


def _step_seconds(pool: Pool) -> tuple[dict[str, float] | None, str]:
    """Seconds per step of each variant, and how they were estimated."""
    if pool.step_seconds:
        means = {label: mean(values) for label, values in pool.step_seconds.items()}
        usual = mean(means.values())
        source = "measured on the runs that have finished"
        return {label: means.get(label, usual) for label in pool.plan.by_label}, source
    guesses = {
        variant.label: variant.flops / GUESSED_SPEED
        for variant in pool.plan.variants
        if variant.flops and variant.accelerator in ("cpu", "auto")
    }
    if len(guesses) < len(pool.plan.variants):
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

    def __init__(self, console: Console, pool: Pool) -> None:
        self.console, self.pool = console, pool
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
        """Show the progress of the jobs, once a second, for reading their files takes time."""
        if not self.console.is_terminal or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 1.0
        table = Table(box=None, pad_edge=False, show_header=False)
        for slot in self.pool.slots.values():
            job, done = slot.job, steps_done(self.pool.folder / slot.job.folder)
            bar = ProgressBar(total=job.steps, completed=min(done, job.steps), width=20)
            table.add_row(bar, f"{done:,}/{job.steps:,}", escape(job.folder))
        self._live.update(Group(table, self._counts()), refresh=True)

    def _counts(self) -> str:
        seconds, _ = time_left(self.pool)
        left = "" if seconds is None else f", {duration(seconds)} left"
        n_left = len(self.pool.plan.rest(self.pool.outcomes))
        return f"{len(self.pool.outcomes)} done, {n_left} to do{left}"

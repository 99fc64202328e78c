"""What `compare run` prints: the plan, its progress, the time that is left."""

import time
from dataclasses import replace
from itertools import islice
from statistics import mean

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from lightning_transformer.compare.run.machine import Machine
from lightning_transformer.compare.run.outcome import Job, Price, steps_done
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.request import RANKING_SEEDS
from lightning_transformer.compare.run.scheduler import Pool
from lightning_transformer.compare.run.search.record import search_lines
from lightning_transformer.compare.run.search.screening import SHARE
from lightning_transformer.compare.run.search.settings import n_search_runs

SHOWN = 20  # jobs that have a bar
START_UP = 3.0  # seconds that a job takes before its first step and after its last


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
            str(n_search_runs(variant)) if screened else "-",
            f"{max(1, variant.steps // SHARE):,}" if screened else "-",
            _runs(plan, plan.n_seeds[variant.label]),
            f"{variant.steps:,}",
            ", ".join(map(str, plan.halving.rungs(variant))) if variant in plan.contenders else "",
        )
    return table


def plan_lines(pool: Pool, machine: Machine) -> list[str]:
    """The rest of the plan: seeds, learning rates, amount of work, machine, time, folder."""
    plan, request, left = pool.plan, pool.plan.request, pool.plan.rest(pool.outcomes)
    seeds, val_every = _seeds(plan), plan.halving.val_every(plan.baseline)
    lines = [f"seeds     {seeds}", *search_lines(plan)]
    if request.halving:
        lines.append(
            f"halving   ranks by val/loss with seeds {', '.join(map(str, RANKING_SEEDS))}, not "
            f"reported; validated every {val_every} steps"
        )
    before = f", {len(pool.outcomes)} done before" if pool.outcomes else ""
    seconds = seconds_left(pool)
    time_left = "not known before the first runs have finished"
    if seconds is not None:
        n_timed, n = len(pool.prices), len(plan.by_label)
        some = f" of {n_timed} of {n} variants" if n_timed < n else " of every variant"
        time_left = f"{duration(seconds)}{_at_most(pool)} (from a few steps{some}, timed now)"
    return [
        *lines,
        f"to do     {len(left)} jobs of {sum(job.steps for job in left):,} steps{before}",
        f"machine   {machine}",
        f"time      {time_left}",
        f"folder    {pool.folder}",
    ]


def _runs(plan: Plan, n: int) -> str:
    """`5`, or `3-20` where seeds may be added."""
    last = len(plan.request.seeds)
    return f"{n}-{last}" if plan.request.is_adaptive and n < last else str(n)


def _seeds(plan: Plan) -> str:
    """`1, 2, 3; then up to 20 in all, until every variant is settled, within 30 min`."""
    request, n = plan.request, max(plan.n_seeds.values())
    text = ", ".join(map(str, request.seeds[:n]))
    if not request.is_adaptive or n == len(request.seeds):
        return text
    within = "" if request.budget is None else f", within {duration(request.budget)}"
    return f"{text}; then up to {len(request.seeds)}, until every variant is settled{within}"


def _at_most(pool: Pool) -> str:
    """`, at most 15 min with all 20 seeds`, where seeds may be added."""
    request = pool.plan.request
    n = len(request.seeds)
    if not request.is_adaptive or min(pool.plan.n_seeds.values()) == n:
        return ""
    whole = Plan(request, pool.plan.variants, {v.label: n for v in pool.plan.variants})
    seconds = seconds_left(pool, whole)
    assert seconds is not None, "asked where the time is known"
    most = duration(seconds).removeprefix("about ")
    return f", at most {most} with all {n} seeds"


def match_lines(pool: Pool) -> list[str]:
    """The changes by match= to each variant, and the difference from the baseline that is left."""
    lines = []
    for label, found in pool.state.matches.items():
        changes = ", ".join(f"{key}={value}" for key, value in found.changes.items())
        what = f"{pool.plan.baseline.axis}: {label} {changes or 'unchanged'}"
        lines.append(f"match     {what} ({found.residual:+.2%})")
    return lines


def seconds_left(pool: Pool, plan: Plan | None = None) -> float | None:
    """Seconds that all jobs will take from now; None while nothing is known.

    plan: in place of the pool's, of the same variants.
    """
    prices, rest = _known(pool), (plan or pool.plan).rest(pool.outcomes)
    if not prices:
        return None
    seconds = sum(_seconds(pool, job, prices[job.label]) for job in rest)
    for slot in pool.slots.values():
        spent = time.monotonic() - slot.since
        seconds -= min(spent, _seconds(pool, slot.job, prices[slot.job.label]))
    return seconds / pool.n_workers


def _seconds(pool: Pool, job: Job, price: Price) -> float:
    """Of a job from its start; screening is tested on one batch alone."""
    variant = pool.plan.by_label[job.label]
    every = variant.val_every if job.until is None else pool.plan.halving.val_every(variant)
    every = job.steps if job.screening else every
    tested = 0.0 if job.screening or job.until is not None else price.test
    return START_UP + job.steps * price.step + -(-job.steps // every) * price.validation + tested


def _known(pool: Pool) -> dict[str, Price]:
    """Of each variant; of one that was not timed, the mean of the others."""
    measured = {label: mean(values) for label, values in pool.step_seconds.items()}
    known = {
        label: replace(price, step=measured.get(label, price.step))
        for label, price in pool.prices.items()
    }
    known |= {label: Price(step) for label, step in measured.items() if label not in known}
    if not known:
        return {}
    usual = Price(
        mean(price.step for price in known.values()),
        mean(price.validation for price in known.values()),
        mean(price.test for price in known.values()),
    )
    return {label: known.get(label, usual) for label in pool.plan.by_label}


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
        for slot in islice(self.pool.slots.values(), SHOWN):  # a queue may hold hundreds
            job, done = slot.job, steps_done(self.pool.folder / slot.job.folder)
            bar = ProgressBar(total=job.steps, completed=min(done, job.steps), width=20)
            table.add_row(bar, f"{done:,}/{job.steps:,}", escape(job.folder))
        self._live.update(Group(table, self._counts()), refresh=True)

    def _counts(self) -> str:
        seconds = seconds_left(self.pool)
        left = "" if seconds is None else f", {duration(seconds)} left"
        n_left = len(self.pool.plan.rest(self.pool.outcomes))
        return f"{len(self.pool.outcomes)} done, {n_left} to do{left}"

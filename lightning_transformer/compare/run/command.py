"""`python -m lightning_transformer.compare run ..`: from one command to a report.

Checks every variant before anything starts, chooses learning rates, runs all variants with the
same seeds, writes the report. Killed at any point, the same command continues.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from rich.console import Console

from lightning_transformer.compare.report.comparison import Comparison
from lightning_transformer.compare.run.adding.extend import continued
from lightning_transformer.compare.run.adding.settle import look
from lightning_transformer.compare.run.after.evaluations import evaluate_runs
from lightning_transformer.compare.run.ask import Examine, examine, solve
from lightning_transformer.compare.run.launchers.base import Compose, Launcher
from lightning_transformer.compare.run.launchers.chosen import launcher_of
from lightning_transformer.compare.run.launchers.local import Local
from lightning_transformer.compare.run.machine import (
    EXACT,
    PRECISION,
    Machine,
    all_or_none_compiled,
    of_one_precision,
)
from lightning_transformer.compare.run.match.report import matched
from lightning_transformer.compare.run.outcome import Job
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.progress import (
    Screen,
    duration,
    seconds_left,
    show_plan,
)
from lightning_transformer.compare.run.request import OWN, Request, read_request, split_flags
from lightning_transformer.compare.run.scheduler import Pool, Start
from lightning_transformer.compare.run.search.record import rate_lines
from lightning_transformer.compare.run.state import comparison_of, locked, open_state
from lightning_transformer.compare.run.variants import changed, read_variants
from lightning_transformer.config.compose import composer, register
from lightning_transformer.config.job_names import shared_by_all
from lightning_transformer.convert.init_from import started_arguments
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.naming import override_key
from lightning_transformer.training.resume import quoted

ROOT = Path("outputs/sweeps")
KEEP = "lightning_transformer.training.loggers.keep_report"
KEEP_NOTHING = ("logger=none", "logger=csv", "logger=tensorboard")
HELP = """\
usage: python -m lightning_transformer.compare run KEY=A,B .. [KEY=VALUE ..] [--dry-run]

Runs every variant with the same seeds and writes a report. A key with several values is compared.

  seeds=3..20       three, then more until every variant is settled, 20 at most (the default);
                    or how many, seeds=5, or which, seeds=3,7,9
  budget=30min      the time after which no seed is added: 90s, 30min, 2h
  lr=sweep3         a learning rate per variant, chosen with seeds of its own; or lr=fixed, a range
                    lr=1e-4..1e-2 (:7 for seven points), a list lr=0.001,0.002,0.004
  tune=KEY:A,B      a value of KEY per variant, chosen likewise; further keys after a ;
  baseline=KEY=A    what the others are compared with (default: the first values)
  placebo=true      a second baseline that differs in its initial weights alone
  eval='KEY=A;..'   measures finished runs again, see evaluate: eval='data.seq_len=256,512'
  halving=3         report only those that are left of the best third at 1/9 and 1/3 of the budget
  ladder=3          at three sizes, the configured one the largest; tokens_per_param=20 of each
  tasks=A,B         on several data sets, or overrides joined by +; so is data=A,B with another key
  name=NAME         of the folder in outputs/sweeps; the same command continues there, also with
                    more seeds or further values
  mixed_devices=true  compare runs of several kinds of GPUs or processors with each other
  workers=N         jobs at a time (default: one per core, or one per GPU)
  launcher=slurm    each run as a job of Slurm, launcher.partition=.. and so on; cancel ends them
  --dry-run         show the plan and the estimated time, start nothing
  --config-dir=DIR  a folder of further options

  python -m lightning_transformer.compare run experiment=warmup norm=layernorm,rmsnorm seeds=5
"""


def main(argv: Sequence[str], run: "Compare | None" = None) -> int:
    """Return the exit status: 0, 1 if a job was given up, 2 for bad input, 130, 143.

    run: what runs the comparison in place of `compare`.
    """
    if {"-h", "--help"} & set(argv) or not argv:
        print(HELP, end="")
        return 0
    signal.signal(signal.SIGTERM, _exit)
    try:
        return (run or compare)(argv, Console(highlight=False))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _exit(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


Compare = Callable[[Sequence[str], Console], int]


def compare(
    argv: Sequence[str],
    console: Console,
    start: Start | None = None,
    examine: Examine = examine,
) -> int:
    """Run a comparison; start and examine: replace processes in tests."""
    return perform(prepared(read(argv), ROOT, console, examine), console, start)


@dataclass(frozen=True)
class Prepared:
    """A comparison that can begin."""

    pool: Pool
    machine: Machine
    launcher: Launcher


def prepared(
    request: Request, root: Path, console: Console, examine: Examine = examine
) -> Prepared:
    """A comparison in a folder below root, checked and timed; no run is started.

    Raises ConfigError with all that cannot run.
    """
    asked, launcher = read_variants(request), launcher_of(request)
    variants = of_one_precision(asked, on_gpus=launcher.on_gpus)
    if variants != asked:
        console.print(f"{PRECISION}={EXACT} for all runs: with auto it would depend on their width")
    plan = Plan(request, all_or_none_compiled(variants, on_gpus=launcher.on_gpus))
    folder = root / request.name
    state = open_state(folder, plan, 0)
    plan.n_seeds = state.n_seeds
    n_jobs = len(plan.rest({}))
    machine = launcher.machine(plan.variants, n_jobs, request.workers, state.threads or None)
    state.threads = machine.threads
    ask = Local().asking(folder, machine, print)
    if not request.dry_run:  # which starts nothing
        ask = launcher.asking(folder, machine, partial(console.print, soft_wrap=True))
    if plan.baseline.axis != "none":
        if not {variant.label for variant in plan.variants} <= set(state.matches):
            state.matches |= solve(plan, ask, console)
        variants = [changed(v, state.matches[v.label].changes) for v in plan.variants]
        plan = Plan(request, of_one_precision(variants, on_gpus=launcher.on_gpus), state.n_seeds)
    pool = Pool(plan, folder, state, machine.n_workers)
    # Once: what continues has been checked, and its own runs tell how long others will take.
    labels = [variant.label for variant in plan.variants]
    if not set(labels) <= set(state.checked):
        state.prices |= examine(plan, ask, state.checked)
        state.checked = labels
    pool.prices = state.prices
    return Prepared(pool, machine, launcher)


def perform(ready: Prepared, console: Console, start: Start | None = None) -> int:
    """Run a comparison that has been prepared; with --dry-run show its plan alone."""
    pool, machine = ready.pool, ready.machine
    if pool.plan.request.dry_run:
        pool.load_outcomes()
        show_plan(console, pool, machine)
        return 0
    with locked(pool.folder, console.print) as lock:
        pool.state.write(pool.folder)
        pool.load_outcomes()
        show_plan(console, pool, machine)
        if start is not None:
            return _work(pool, start, console)
        say = partial(console.print, markup=False, soft_wrap=True)
        with ready.launcher.starting(pool, machine, composing(pool), lock, say) as start:
            return _work(pool, start, console)


def read(argv: Sequence[str]) -> Request:
    """The comparison that the arguments ask for."""
    config_dirs, dry_run, overrides = split_flags(argv)
    config_dirs = [str(Path(folder).absolute()) for folder in config_dirs]
    register()
    keys = [text for text in overrides if text.partition("=")[0] not in OWN]
    overrides = [*started_arguments(keys, config_dirs)[: -len(keys) or None], *overrides]
    with composer(config_dirs) as loader:
        request = read_request(overrides, loader, dry_run=dry_run, config_dirs=config_dirs)
    named = any(text.startswith("name=") for text in overrides)
    return request if named else continued(request, ROOT)


def _work(pool: Pool, start: Start, console: Console) -> int:
    def write() -> Comparison:
        match = matched(pool.plan, pool.folder, pool.outcomes)
        looks = pool.state.looks
        comparison = comparison_of(pool.plan, pool.outcomes, pool.failures, match, looks)
        comparison.write(pool.folder)
        return comparison

    def print_line(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    def worked() -> float:
        """Seconds, with those of earlier starts."""
        return before + time.monotonic() - began

    write()
    began, expected, before = time.monotonic(), seconds_left(pool), pool.state.seconds
    with Screen(console, pool) as screen:

        def job_ended(line: str) -> None:
            write()
            screen.job_ended(line)

        pool.run(start, job_ended, screen.tick)
        planned = time.monotonic() - began  # without the seeds that are added from here on
        while pool.plan.request.is_adaptive and not pool.signum:
            pool.state.seconds = worked()
            line, more = look(pool)
            screen.job_ended(line)
            if not more:
                break
            pool.run(start, job_ended, screen.tick)
    comparison = write()
    pool.state.seconds = worked()
    pool.state.write(pool.folder)
    if pool.signum:
        n_left = len(pool.plan.rest(pool.outcomes))
        console.print(f"stopped with {n_left} jobs to do; the same command continues")
        return 128 + pool.signum
    for line in rate_lines(comparison.lr):
        print_line(line)
    if expected:
        print_line(_time_line(pool, time.monotonic() - began, planned, expected))
    if comparison.metric == "val/loss":
        print_line("metric    val/loss, because no run has a test/loss")
    evaluate_runs(pool.folder, pool.plan.request.evaluations, print_line)
    _report(pool.folder, console)
    print_line(f"view      tensorboard --logdir {pool.folder}")
    _keep_report(pool)
    for failure in comparison.failures:
        print_line(f"failed    {failure.run}: {failure.error}")
    return 1 if comparison.failures else 0


def _time_line(pool: Pool, took: float, planned: float, expected: float) -> str:
    """The time of all, and how far the estimate was off, which knew of no seed that was added."""
    if not pool.plan.request.is_adaptive:
        return f"time      {duration(took)}; {duration(expected)} was the estimate"
    return (
        f"time      {duration(took)}; {duration(planned)} before seeds were added, and "
        f"{duration(expected)} was the estimate of that"
    )


def composing(pool: Pool) -> Compose:
    """Says what to type for a job, which goes on from its newest checkpoint if there is one."""
    flags = [text for name in pool.plan.request.config_dirs for text in ("--config-dir", name)]
    shared = shared_by_all(pool.plan.request.shared)  # so that loggers show first what is compared

    def compose(job: Job) -> list[str]:
        run_dir = f"hydra.run.dir={quoted(pool.folder / job.folder)}"
        return [*flags, *job.overrides, "resume=auto", run_dir, shared]

    return compose


def _report(folder: Path, console: Console) -> None:
    """Write the report, also of runs that differ in what must be equal: its head says so."""
    from lightning_transformer.compare.report.write import Wanted, write

    try:
        write([folder], console=console)
    except ValueError as error:  # such as code that was changed in between
        write([folder], Wanted(mixing="force"), console)
        console.print(f"warning   {error}", markup=False, soft_wrap=True)


def _keep_report(pool: Pool) -> None:
    """Give the report to the loggers of the runs that keep files, in a process with torch."""
    overrides = list(pool.plan.baseline.overrides)
    asked = [text for text in overrides if override_key(text).split(".")[0] == "logger"]
    if all(text in KEEP_NOTHING for text in asked):
        return
    question = {"config_dirs": pool.plan.request.config_dirs, "overrides": overrides}
    call = [sys.executable, "-m", KEEP, str(pool.folder)]
    subprocess.run(call, input=json.dumps(question), text=True, check=False)

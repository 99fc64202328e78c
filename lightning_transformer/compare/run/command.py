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
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from lightning_transformer.compare.report.comparison import Comparison
from lightning_transformer.compare.run.machine import Machine, machine_for
from lightning_transformer.compare.run.match.report import matched
from lightning_transformer.compare.run.outcome import Job, Price
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.process import Launcher, Process
from lightning_transformer.compare.run.progress import (
    Screen,
    duration,
    rate_lines,
    seconds_left,
    show_plan,
)
from lightning_transformer.compare.run.request import Request, read_request, split_flags
from lightning_transformer.compare.run.scheduler import Pool, Start
from lightning_transformer.compare.run.state import comparison_of, locked, open_state
from lightning_transformer.compare.run.variants import Matched, changed, read_variants
from lightning_transformer.config.compose import composer, register
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.naming import override_key
from lightning_transformer.runs.typed_json import from_json
from lightning_transformer.training.resume import quoted

ROOT = Path("outputs/sweeps")
SOLVE = "lightning_transformer.compare.run.match.solve"
CHECK = "lightning_transformer.compare.run.check"
KEEP = "lightning_transformer.training.loggers.keep_report"
KEEP_NOTHING = ("logger=none", "logger=csv", "logger=tensorboard")
HELP = """\
usage: python -m lightning_transformer.compare run KEY=A,B .. [KEY=VALUE ..] [--dry-run]

Runs every variant with the same seeds and writes a report. A key with several values is compared.

  seeds=5           how many, or which: seeds=3,7,9 (default 5)
  lr=sweep3         a learning rate per variant, chosen with a seed of its own; or lr=fixed
  baseline=KEY=A    what the others are compared with (default: the first values)
  placebo=true      a second baseline that differs in its initial weights alone
  halving=3         stop all but the best third at 1/9 and 1/3 of the budget
  name=NAME         of the folder in outputs/sweeps; the same command continues there
  workers=N         jobs at a time (default: one per core, or one per GPU)
  --dry-run         show the plan and the estimated time, start nothing
  --config-dir=DIR  a folder of further options

  python -m lightning_transformer.compare run experiment=warmup norm=layernorm,rmsnorm seeds=5
"""


def main(argv: Sequence[str]) -> int:
    """Return the exit status: 0, 1 if a job was given up, 2 for bad input, 130, 143."""
    if {"-h", "--help"} & set(argv) or not argv:
        print(HELP, end="")
        return 0
    signal.signal(signal.SIGTERM, _exit)
    try:
        return compare(argv, Console(highlight=False))
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


Examine = Callable[[Plan, dict[str, str]], dict[str, Price]]


def examine(plan: Plan, env: dict[str, str]) -> dict[str, Price]:
    """How long the jobs of each variant take; ConfigError with all that cannot run, a line each."""
    variants = {variant.label: variant.overrides for variant in plan.variants}
    answer = _asked(CHECK, {"config_dirs": plan.request.config_dirs, "variants": variants}, env)
    errors = [f"{label}: {error}" for label, error in answer["errors"].items()]
    if len(errors) > 1:
        what = f"{len(errors)} of {len(variants)} variants cannot run"
        raise ConfigError("\n  ".join([what, *errors]))
    if errors:
        raise ConfigError(errors[0])
    return from_json(dict[str, Price], answer["prices"])


def compare(
    argv: Sequence[str],
    console: Console,
    start: Start | None = None,
    examine: Examine = examine,
) -> int:
    """Run a comparison; start and examine: replace processes in tests."""
    request = read(argv)
    plan = Plan(request, read_variants(request))
    folder = ROOT / request.name
    state = open_state(folder, plan, 0)
    machine = machine_for(plan.variants, len(plan.rest({})), request.workers, state.threads or None)
    state.threads = machine.threads
    if plan.baseline.axis != "none":
        state.matches = state.matches or solve(plan, machine.environment(0), console)
        plan = Plan(request, [changed(v, state.matches[v.label].changes) for v in plan.variants])
    pool = Pool(plan, folder, state, machine.n_workers)
    # Once: what continues has been checked, and its own runs tell how long others will take.
    state.prices = state.prices or examine(plan, machine.environment(0))
    pool.prices = state.prices
    if request.dry_run:
        pool.load_outcomes()
        show_plan(console, pool, machine)
        return 0
    with locked(folder, console.print) as lock:
        state.write(folder)
        pool.load_outcomes()
        show_plan(console, pool, machine)
        return _work(pool, start or starter(pool, machine, lock), console)


def read(argv: Sequence[str]) -> Request:
    """The comparison that the arguments ask for."""
    config_dirs, dry_run, overrides = split_flags(argv)
    config_dirs = [str(Path(folder).absolute()) for folder in config_dirs]
    register()
    with composer(config_dirs) as loader:
        return read_request(overrides, loader, dry_run=dry_run, config_dirs=config_dirs)


def solve(plan: Plan, env: dict[str, str], console: Console) -> dict[str, Matched]:
    """What each variant needs to be like the baseline; see solve.py. Raises ConfigError."""
    console.print(f"match     {plan.baseline.axis}: solving for {len(plan.variants)} variants")
    question = {
        "config_dirs": plan.request.config_dirs,
        "baseline": plan.baseline.overrides,
        "variants": {variant.label: variant.overrides for variant in plan.variants},
    }
    answer = _asked(SOLVE, question, env)
    if "error" in answer:
        raise ConfigError(answer["error"])
    found: dict[str, Matched] = from_json(dict[str, Matched], answer)
    return found


def _asked(module: str, question: dict[str, Any], env: dict[str, str]) -> dict[str, Any]:
    """The answer of a program that loads torch, as JSON; the last line that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(question),
        stdout=subprocess.PIPE,
        env=env,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise RuntimeError(f"{module} ended with {done.returncode}")
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def _work(pool: Pool, start: Start, console: Console) -> int:
    def write() -> Comparison:
        match = matched(pool.plan, pool.folder, pool.outcomes)
        comparison = comparison_of(pool.plan, pool.outcomes, pool.failures, match)
        comparison.write(pool.folder)
        return comparison

    def print_line(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    write()
    began, expected = time.monotonic(), seconds_left(pool)
    with Screen(console, pool) as screen:

        def job_ended(line: str) -> None:
            write()
            screen.job_ended(line)

        pool.run(start, job_ended, screen.tick)
    comparison = write()
    if pool.signum:
        n_left = len(pool.plan.rest(pool.outcomes))
        console.print(f"stopped with {n_left} jobs to do; the same command continues")
        return 128 + pool.signum
    for line in rate_lines(comparison.lr):
        print_line(line)
    if expected:
        took = duration(time.monotonic() - began)
        print_line(f"time      {took}; {duration(expected)} was the estimate")
    if comparison.metric == "val/loss":
        print_line("metric    val/loss, because no run has a test/loss")
    _report(pool.folder, console)
    _keep_report(pool)
    for failure in comparison.failures:
        print_line(f"failed    {failure.run}: {failure.error}")
    return 1 if comparison.failures else 0


def starter(pool: Pool, machine: Machine, lock: int) -> Start:
    """Starts jobs as processes, each from its newest checkpoint, or from the start."""
    launcher = Launcher(lock, preload=sys.platform == "linux" and not machine.gpus)
    flags = [text for name in pool.plan.request.config_dirs for text in ("--config-dir", name)]

    def start(job: Job, worker: int) -> Process:
        run_dir = f"hydra.run.dir={quoted(pool.folder / job.folder)}"
        arguments = [*flags, *job.overrides, "resume=auto", run_dir]
        log = pool.folder / "logs" / f"{job.folder}.txt"
        return launcher.start(arguments, machine.environment(worker), log)

    return start


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

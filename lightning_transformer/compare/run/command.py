"""`python -m lightning_transformer.compare run ..`: from one command to a report.

Checks every variant before anything starts, chooses learning rates, runs all variants with the
same seeds, writes the report. Killed at any point, the same command continues.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from lightning_transformer.compare.report.comparison import Comparison
from lightning_transformer.compare.run.machine import Machine, machine_for
from lightning_transformer.compare.run.match.report import matched
from lightning_transformer.compare.run.outcome import Job
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.process import Launcher, Process
from lightning_transformer.compare.run.progress import Screen, rate_lines, show_plan
from lightning_transformer.compare.run.request import Request, read_request, split_flags
from lightning_transformer.compare.run.scheduler import Pool, Start
from lightning_transformer.compare.run.state import comparison_of, locked, open_state
from lightning_transformer.compare.run.variants import Matched, changed, read_variants
from lightning_transformer.config.compose import composer, register
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.typed_json import from_json
from lightning_transformer.training.resume import quoted

ROOT = Path("outputs/sweeps")
SOLVE = "lightning_transformer.compare.run.match.solve"
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
    except (ConfigError, ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _exit(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


def compare(argv: Sequence[str], console: Console, start: Start | None = None) -> int:
    """Run a comparison; start: replaces the processes of jobs in tests."""
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
    done = subprocess.run(
        [sys.executable, "-m", SOLVE],
        input=json.dumps(question),
        stdout=subprocess.PIPE,
        env=env,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise RuntimeError(f"solving for match= ended with {done.returncode}")
    answer = json.loads(lines[-1])
    if "error" in answer:
        raise ConfigError(answer["error"])
    found: dict[str, Matched] = from_json(dict[str, Matched], answer)
    return found


def _work(pool: Pool, start: Start, console: Console) -> int:
    def write() -> Comparison:
        match = matched(pool.plan, pool.folder, pool.outcomes)
        comparison = comparison_of(pool.plan, pool.outcomes, pool.failures, match)
        comparison.write(pool.folder)
        return comparison

    def print_line(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    write()
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
    if comparison.metric == "val/loss":
        print_line("metric    val/loss, because no run has a test/loss")
    _report(pool.folder, console)
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

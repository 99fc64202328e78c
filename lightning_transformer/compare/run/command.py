"""`python -m lightning_transformer.compare run ..`: from one command to a report.

Checks every variant before anything starts, chooses learning rates, runs all variants with the
same seeds, writes the report. Killed at any point, the same command goes on.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from lightning_transformer.compare.run import process
from lightning_transformer.compare.run.machine import Machine, machine_for
from lightning_transformer.compare.run.match.report import matched
from lightning_transformer.compare.run.plan import Job, Plan
from lightning_transformer.compare.run.progress import Screen, show_plan
from lightning_transformer.compare.run.request import Request, read_request, split_flags
from lightning_transformer.compare.run.scheduler import Pool, Start
from lightning_transformer.compare.run.state import (
    Locks,
    comparison,
    open_state,
    write_comparison,
)
from lightning_transformer.compare.run.variants import changed, read_variants
from lightning_transformer.config.compose import composer, register
from lightning_transformer.errors import ConfigError
from lightning_transformer.training.resume import quoted

ROOT = Path("outputs/sweeps")
SOLVE = "lightning_transformer.compare.run.match.solve"
HELP = """\
usage: python -m lightning_transformer.compare run KEY=A,B .. [KEY=VALUE ..] [--dry-run]

Runs every variant with the same seeds and writes a report. What has several values is compared.

  seeds=5           how many, or which: seeds=3,7,9 (default 5)
  lr=sweep3         a learning rate per variant, chosen with a seed of its own; or lr=fixed
  baseline=KEY=A    what the others are compared with (default: the first values)
  placebo=true      a second baseline that differs in its initial weights alone
  halving=3         stop all but the best third at 1/9 and 1/3 of the budget
  name=NAME         of the folder in outputs/sweeps; the same command goes on there
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
    signal.signal(signal.SIGTERM, _leave)
    try:
        return compare(argv, Console(highlight=False))
    except (ConfigError, ValueError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _leave(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


def compare(argv: Sequence[str], console: Console, start: Start | None = None) -> int:
    """Do all of it; start: what starts a job, in tests something else than a process."""
    asked = read(argv)
    plan = Plan(asked, read_variants(asked))
    folder = ROOT / asked.name
    n_jobs = len(plan.rest({}))
    state = open_state(folder, plan, 0)
    machine = machine_for(plan.variants, n_jobs, asked.workers, state.threads or None)
    state.threads = machine.threads
    if plan.baseline.axis != "none":
        state.matches = state.matches or solve(plan, machine.environment(0), console)
        plan = Plan(asked, [changed(v, state.matches[v.label]["changes"]) for v in plan.variants])
    pool = Pool(plan, folder, state, start or _no_start, machine.n_workers)
    if asked.dry_run:
        pool.load_outcomes()
        show_plan(console, plan, pool, machine, folder)
        _print_matches(plan, state.matches, console)
        return 0
    locks = Locks(folder, console.print)
    launcher = process.launcher(locks.jobs, gpus=bool(machine.gpus))
    try:
        state.write(folder)
        if start is None:
            pool.start = starter(asked, folder, machine, launcher)
        pool.load_outcomes()
        show_plan(console, plan, pool, machine, folder)
        _print_matches(plan, state.matches, console)
        return _work(plan, pool, folder, console)
    finally:
        locks.release()


def solve(plan: Plan, env: dict[str, str], console: Console) -> dict[str, Any]:
    """What each variant needs to be like the baseline; see solve.py. Raises ConfigError."""
    console.print(f"match     {plan.baseline.axis}: solving for {len(plan.variants)} variants")
    asked = {
        "config_dirs": plan.asked.config_dirs,
        "baseline": plan.baseline.overrides,
        "variants": {variant.label: variant.overrides for variant in plan.variants},
    }
    done = subprocess.run(
        [sys.executable, "-m", SOLVE],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        env=env,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise RuntimeError(f"solving for match= ended with {done.returncode}")
    answer: dict[str, Any] = json.loads(lines[-1])
    if "error" in answer:
        raise ConfigError(answer["error"])
    return answer


def read(argv: Sequence[str]) -> Request:
    """Understand what was typed."""
    config_dirs, dry_run, typed = split_flags(argv)
    config_dirs = [str(Path(folder).absolute()) for folder in config_dirs]
    register()
    with composer(config_dirs) as loader:
        return read_request(typed, loader, dry_run=dry_run, config_dirs=config_dirs)


def _work(plan: Plan, pool: Pool, folder: Path, console: Console) -> int:
    def note() -> dict[str, Any]:
        match = matched(plan, folder, _finished(plan, pool))
        content = comparison(plan, pool.outcomes, pool.failures, match)
        write_comparison(folder, content)
        return content

    note()
    with Screen(console, plan, pool, folder) as screen:

        def ended(line: str) -> None:
            note()
            screen.said(line)

        pool.run(ended, screen.tick)
    content = note()
    if pool.signum:
        left = len(plan.rest(pool.outcomes))
        console.print(f"stopped with {left} jobs to do; the same command goes on")
        return 128 + pool.signum
    for line in rate_lines(content["lr"]):
        console.print(line, markup=False, soft_wrap=True)
    if content["metric"] == "val/loss":
        console.print("metric    val/loss, for no run has a test/loss", markup=False)
    _report(folder, console)
    for failure in content["failures"]:
        line = f"failed    {failure['run']}: {failure['error']}"
        console.print(line, markup=False, soft_wrap=True)
    return 1 if content["failures"] else 0


def _print_matches(plan: Plan, matches: dict[str, Any], console: Console) -> None:
    for line in match_lines(plan.baseline.axis, matches):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def match_lines(axis: str, matches: dict[str, Any]) -> list[str]:
    """What was changed in each variant so that it is like the baseline, and how near that is."""
    lines = []
    for label, found in matches.items():
        changes = ", ".join(f"{key}={value}" for key, value in found["changes"].items())
        lines.append(
            f"match     {axis}: {label} {changes or 'as it is'} ({found['residual']:+.2%})"
        )
    return lines


def rate_lines(rates: dict[str, Any]) -> list[str]:
    """Which learning rate each variant got, and how it was found."""
    lines = []
    for label, chosen in rates["chosen"].items():
        tried = sorted(map(float, rates["screening"][label]))
        said = f"{len(tried)} tried from {tried[0]:g} to {tried[-1]:g}"
        if times := rates["widened"][label]:
            said += f", widened {times} time{'s' if times > 1 else ''}"
        if not any(loss is not None for loss in rates["screening"][label].values()):
            said += "; all diverged, so the configured one stands"
        if label in rates["at_edge"]:
            said += "; the best is still at the edge"
        lines.append(f"lr        {label}: {chosen:g} ({said})")
    return lines


def starter(asked: Request, folder: Path, machine: Machine, launcher: process.Launcher) -> Start:
    """What starts a job as a process: on from its newest checkpoint, or from the start."""
    flags = [text for name in asked.config_dirs for text in ("--config-dir", name)]

    def start(job: Job, worker: int) -> process.Process:
        slot = f"hydra.run.dir={quoted(folder / job.folder)}"
        arguments = [*flags, *job.overrides, "resume=auto", slot]
        log = folder / "logs" / f"{job.folder}.txt"
        return launcher.start(arguments, machine.environment(worker), log)

    return start


def _no_start(job: Job, worker: int) -> Any:
    raise AssertionError("nothing is started in a dry run")


def _finished(plan: Plan, pool: Pool) -> dict[str, str]:
    """Label to the folder of the first seed that has finished."""
    found: dict[str, str] = {}
    for variant in plan.variants:
        for seed in plan.asked.seeds:
            key = plan.job(variant, seed, -1, 1.0).key
            if key in pool.outcomes and pool.outcomes[key].state == "finished":
                found.setdefault(variant.label, key[0])
    return found


def _report(folder: Path, console: Console) -> None:
    from lightning_transformer.compare.report.write import write

    write([folder], console=console)

"""The files of a comparison: plan.json to continue from, comparison.json for the report, locks."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lightning_transformer.compare.report.comparison import (
    Comparison,
    FailedJob,
    Looks,
    MatchResult,
)
from lightning_transformer.compare.run.adding.extend import differences, looks
from lightning_transformer.compare.run.outcome import Outcome, Outcomes, Price
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.request import RANKING_SEEDS, Request
from lightning_transformer.compare.run.search.record import rate_search
from lightning_transformer.compare.run.variants import PLACEBO, Matched
from lightning_transformer.errors import ConfigError
from lightning_transformer.paths import PROGRAM
from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.runs.typed_json import read_typed

if sys.platform != "win32":
    import fcntl

STATE_FILE = "plan.json"
SCHEMA = 1


@dataclass
class State:
    """What a comparison needs to continue.

    Attributes:
        asked: `Request.identity`.
        digests: of the variants' configurations.
        threads: of each job.
        rungs: run folder to rung (as text) to loss.
        matches: what match= has solved for, by variant.
        prices: how long its steps take, by variant, as timed before the first job.
        checked: variants that can run, and were timed if there was time.
        n_seeds: label to how many of the seeds it is run with.
        looks: when it is judged, where seeds are added after that.
        seconds: that its commands have worked, for budget=.
    """

    asked: dict[str, Any]
    digests: dict[str, str]
    threads: int
    rungs: dict[str, dict[str, float | None]] = field(default_factory=dict)
    matches: dict[str, Matched] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    checked: list[str] = field(default_factory=list)
    n_seeds: dict[str, int] = field(default_factory=dict)
    looks: Looks | None = None
    seconds: float = 0.0

    def write(self, folder: Path) -> None:
        content = {"schema": SCHEMA, **asdict(self)}
        write_atomically(folder / STATE_FILE, json.dumps(content, indent=2) + "\n")

    def paused(self, run: str, step: int, loss: float | None) -> None:
        """Note that a run has paused: as soon as it continues its folder no longer says so."""
        self.rungs.setdefault(run, {})[str(step)] = loss

    def outcome(self, run: str, step: int | None) -> Outcome | None:
        """The outcome of a run that has paused at a rung."""
        known = self.rungs.get(run, {})
        if step is None or str(step) not in known:
            return None
        return Outcome("paused", known[str(step)], step=step)


def open_state(folder: Path, plan: Plan, threads: int) -> State:
    """The state of this comparison, new or as it was left and extended; not written yet.

    Raises ConfigError where another comparison has this name, or its configurations have changed.
    """
    digests = {variant.label: variant.digest for variant in plan.variants}
    request = plan.request
    new = State(request.identity, digests, threads, n_seeds=dict(plan.n_seeds))
    path = folder / STATE_FILE
    if not path.exists():
        if folder.is_dir() and any(folder.glob("*/result.json")):
            raise ConfigError(f"{folder} holds other runs; choose another name=")
        return replace(new, looks=looks(None, None, request))
    try:
        old = read_typed(State, path, SCHEMA)
    except ValueError as error:
        raise ConfigError(f"{error}; choose another name=") from None
    changes = differences(old.asked, new.asked)
    if changes:
        raise ConfigError(
            f"name={request.name} is another comparison ({'; '.join(changes[:5])}); choose "
            "another name="
        )
    edited = [
        label for label in digests if old.digests.get(label, digests[label]) != digests[label]
    ]
    if edited:
        raise ConfigError(
            f"name={request.name}: the configuration of {edited[0]} has changed since it was "
            "started (an option file was edited?); choose another name="
        )
    had = old.n_seeds or dict.fromkeys(old.digests, len(old.asked["seeds"]))
    return replace(
        old,
        asked=new.asked,
        digests=digests,
        n_seeds={label: max(n, had.get(label, n)) for label, n in plan.n_seeds.items()},
        looks=looks(old.asked, old.looks, request),
    )


def comparison_of(
    plan: Plan,
    outcomes: Outcomes,
    failures: Mapping[str, FailedJob],
    match: MatchResult,
    looks: Looks | None = None,
) -> Comparison:
    """What the report cannot read from the run folders."""
    request = plan.request
    ended = [o for key, o in outcomes.items() if o.state == "finished" and "/" not in key[0]]
    untested = bool(ended) and not any("test/loss" in outcome.metrics for outcome in ended)
    return Comparison(
        name=request.name,
        by=list(request.swept),
        baseline=request.baseline,
        metric="val/loss" if untested else "test/loss",
        seeds=list(request.seeds),
        n_seeds=dict(plan.n_seeds),
        looks=looks,
        lr=rate_search(plan, outcomes),
        match=match,
        placebo=PLACEBO if request.placebo else None,
        stopped=plan.stopped(outcomes),
        failures=sorted(failures.values(), key=lambda one: one.run),
        stage=plan.stage(outcomes),
        ranking_seeds=[] if request.halving is None else list(RANKING_SEEDS),
        command=command_line(request),
        mixed_devices=request.mixed_devices,
    )


def command_line(request: Request) -> str:
    """What was typed, to be typed again."""
    flags = [text for folder in request.config_dirs for text in ("--config-dir", folder)]
    return f"{PROGRAM}.compare run {shlex.join([*flags, *request.typed])}"


@contextmanager
def locked(folder: Path, report: Callable[[str], None]) -> Iterator[int]:
    """Within, no other command works in the folder, and no job of a killed command is left.

    Gives the descriptor of the second lock, which the jobs hold too: a lock belongs to the open
    file, so it is free only when the last of them has ended, also where their parent was killed.
    Raises ConfigError where another command works in the folder.
    """
    if sys.platform == "win32":
        raise ConfigError("compare run needs locks on files that Windows does not have")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".running").open("a") as own, (folder / ".jobs").open("a") as jobs:
        try:
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another compare run is working in {folder}; follow it with "
                f"compare watch {folder.name}"
            ) from None
        try:
            fcntl.flock(jobs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting until the jobs of a killed run have ended")
            fcntl.flock(jobs, fcntl.LOCK_EX)
        yield jobs.fileno()

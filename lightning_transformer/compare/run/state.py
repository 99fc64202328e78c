"""The files of a comparison: plan.json to continue from, comparison.json for the report, locks."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lightning_transformer.compare.report.comparison import (
    Comparison,
    FailedJob,
    MatchResult,
    RateSearch,
)
from lightning_transformer.compare.run.lr_search import screening
from lightning_transformer.compare.run.outcome import Outcome, Outcomes, Price
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.variants import PLACEBO, Matched
from lightning_transformer.errors import ConfigError
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
    """

    asked: dict[str, Any]
    digests: dict[str, str]
    threads: int
    rungs: dict[str, dict[str, float | None]] = field(default_factory=dict)
    matches: dict[str, Matched] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)

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
    """The state of this comparison, new or as it was left; not written yet.

    Raises ConfigError where another comparison has this name, or its configurations have changed.
    """
    digests = {variant.label: variant.digest for variant in plan.variants}
    new = State(plan.request.identity, digests, threads)
    path = folder / STATE_FILE
    if not path.exists():
        if folder.is_dir() and any(folder.glob("*/result.json")):
            raise ConfigError(f"{folder} holds other runs; choose another name=")
        return new
    try:
        old = read_typed(State, path, SCHEMA)
    except ValueError as error:
        raise ConfigError(f"{error}; choose another name=") from None
    changes = differences(old.asked, new.asked)
    if changes:
        raise ConfigError(
            f"name={plan.request.name} is another comparison ({'; '.join(changes[:5])}); choose "
            "another name="
        )
    edited = [label for label in digests if old.digests.get(label) != digests[label]]
    if edited:
        raise ConfigError(
            f"name={plan.request.name}: the configuration of {edited[0]} has changed since it was "
            "started (an option file was edited?); choose another name="
        )
    return old


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """`seeds: 1,2 then, 1,2,3 now`, one text for each value that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*old, *(name for name in new if name not in old)]
        return [text for name in names for text in differences(old.get(name), new.get(name), name)]
    return [] if old == new else [f"{key}: {_show(old)} then, {_show(new)} now"]


def _show(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "nothing"
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)


def comparison_of(
    plan: Plan, outcomes: Outcomes, failures: Mapping[str, FailedJob], match: MatchResult
) -> Comparison:
    """What the report cannot read from the run folders."""
    request, lr = plan.request, _rate_search(plan, outcomes)
    ended = [o for key, o in outcomes.items() if o.state == "finished" and "/" not in key[0]]
    untested = bool(ended) and not any("test/loss" in outcome.metrics for outcome in ended)
    left = "runs" if plan.todo(outcomes) else "done"
    return Comparison(
        name=request.name,
        by=list(request.swept),
        baseline=request.baseline,
        metric="val/loss" if untested else "test/loss",
        seeds=list(request.seeds),
        lr=lr,
        match=match,
        placebo=PLACEBO if request.placebo else None,
        stopped=plan.stopped(outcomes),
        failures=sorted(failures.values(), key=lambda one: one.run),
        stage="screening" if len(lr.chosen) < len(plan.screened) else left,
    )


def _rate_search(plan: Plan, outcomes: Outcomes) -> RateSearch:
    key = "optimizer.lr"
    found = [(variant, screening(variant, outcomes)) for variant in plan.screened]
    return RateSearch(
        policy=plan.request.lr,
        key=key,
        base=plan.baseline.rates.get(key),
        bases={variant.label: variant.rates for variant, _ in found},
        chosen={v.label: v.rates_at(s.chosen)[key] for v, s in found if s.chosen is not None},
        screening={
            v.label: {repr(v.rates_at(factor)[key]): loss for factor, loss in s.losses.items()}
            for v, s in found
        },
        loss_at_init={v.label: s.start_loss for v, s in found if s.start_loss is not None},
        at_edge=[variant.label for variant, search in found if search.at_edge],
        widened={variant.label: search.widened for variant, search in found},
    )


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

"""What a comparison writes of itself, and the locks that keep it to one process."""

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_transformer.compare.run.outcome import Outcome
from lightning_transformer.compare.run.plan import Outcomes, Plan, rates_at
from lightning_transformer.compare.run.variants import PLACEBO
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.atomic import write_atomically

if sys.platform != "win32":
    import fcntl

COMPARISON = "comparison.json"  # for the report
JOURNAL = "plan.json"  # for going on
SCHEMA = 1


@dataclass(frozen=True)
class Failure:
    """A job that was given up."""

    folder: str
    error: str
    attempts: int


@dataclass
class State:
    """What was asked, by which configurations, with how many threads; losses at rungs; matches."""

    asked: dict[str, Any]
    digests: dict[str, str]
    threads: int
    rungs: dict[str, dict[str, float | None]] = field(default_factory=dict)
    matches: dict[str, dict[str, Any]] = field(default_factory=dict)  # by variant, see solve.py

    def write(self, folder: Path) -> None:
        content = {"schema": SCHEMA, **self.__dict__}
        write_atomically(folder / JOURNAL, json.dumps(content, indent=2) + "\n")

    def reached(self, run: str, step: int, loss: float | None) -> None:
        """Note that a run has paused: as soon as it goes on its folder says so no more."""
        self.rungs.setdefault(run, {})[str(step)] = loss

    def outcome(self, run: str, step: int | None) -> Outcome | None:
        """What was noted of a run at a rung."""
        known = self.rungs.get(run, {})
        if step is None or str(step) not in known:
            return None
        return Outcome("paused", known[str(step)], step=step)


def open_state(folder: Path, plan: Plan, threads: int) -> State:
    """The journal of this comparison, new or as it was left; not written yet.

    Raises ConfigError where another comparison has this name, or its configurations have changed.
    """
    digests = {variant.label: variant.digest for variant in plan.variants}
    new = State(plan.asked.identity, digests, threads)
    path = folder / JOURNAL
    if not path.exists():
        if folder.is_dir() and any(folder.glob("*/result.json")):
            raise ConfigError(f"{folder} holds runs of something else; choose another name=")
        return new
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("schema") != SCHEMA:
            raise ValueError
        old = State(**content)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{path} cannot be read; choose another name=") from None
    changes = list(differences(old.asked, new.asked))
    if changes:
        raise ConfigError(
            f"name={plan.asked.name} is another comparison ({'; '.join(changes[:5])}); choose "
            "another name="
        )
    edited = [label for label in digests if old.digests.get(label) != digests[label]]
    if edited:
        raise ConfigError(
            f"name={plan.asked.name}: the configuration of {edited[0]} has changed since it was "
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
    return (
        "nothing" if value is None else str(value).lower() if value in (True, False) else str(value)
    )


def comparison(
    plan: Plan, outcomes: Outcomes, failures: dict[str, Failure], match: dict[str, Any]
) -> dict[str, Any]:
    """The content of comparison.json: what the report cannot see in the runs."""
    asked, stopped = plan.asked, plan.stopped(outcomes)
    screenings = {v.label: plan.screening(v, outcomes) for v in plan.screened}
    by_label = plan.by_label
    waiting = any(screening.chosen is None for screening in screenings.values())
    left = plan.todo(outcomes)
    ended = [o for key, o in outcomes.items() if o.state == "finished" and "/" not in key[0]]
    untested = bool(ended) and not any("test/loss" in outcome.metrics for outcome in ended)
    return {
        "schema": SCHEMA,
        "name": asked.name,
        "by": list(asked.swept),
        "baseline": asked.baseline,
        "metric": "val/loss" if untested else "test/loss",
        "seeds": list(asked.seeds),
        "lr": {
            "policy": asked.lr,
            "key": "optimizer.lr",
            "base": plan.baseline.rates.get("optimizer.lr"),
            "bases": {label: by_label[label].rates for label in screenings},
            "chosen": {
                label: rates_at(by_label[label], screening.chosen)["optimizer.lr"]
                for label, screening in screenings.items()
                if screening.chosen is not None
            },
            "screening": {
                label: {
                    repr(rates_at(by_label[label], factor)["optimizer.lr"]): loss
                    for factor, loss in screening.losses.items()
                }
                for label, screening in screenings.items()
            },
            "loss_at_init": {
                label: screening.start_loss
                for label, screening in screenings.items()
                if screening.start_loss is not None
            },
            "at_edge": [label for label, found in screenings.items() if found.at_edge],
            "widened": {label: found.widened for label, found in screenings.items()},
        },
        "match": match,
        "placebo": PLACEBO if asked.placebo else None,
        "stopped": {label: {"step": step, "reason": why} for label, (step, why) in stopped.items()},
        "failures": [
            {"run": one.folder, "error": one.error, "attempts": one.attempts}
            for one in sorted(failures.values(), key=lambda one: one.folder)
        ],
        "stage": "screening" if waiting else "runs" if left else "done",
    }


def write_comparison(folder: Path, content: dict[str, Any]) -> None:
    """Write comparison.json whole or not at all."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    write_atomically(folder / COMPARISON, text + "\n")


class Locks:
    """Held while a comparison runs: one against a second command, one that its jobs hold too.

    A lock belongs to the open file, so the second is free only when the last job has ended, also
    one whose parent was killed.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        if sys.platform == "win32":
            raise ConfigError("compare run needs locks on files that Windows does not have")
        folder.mkdir(parents=True, exist_ok=True)
        self._own = os.open(folder / ".running", os.O_RDWR | os.O_CREAT, 0o644)
        self.jobs = os.open(folder / ".jobs", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take(folder, say)
        except BaseException:
            self.release()
            raise

    def _take(self, folder: Path, say: Callable[[str], None]) -> None:
        try:
            fcntl.flock(self._own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{folder} is being worked on by another compare run; look at it with "
                f"compare watch {folder.name}"
            ) from None
        try:
            fcntl.flock(self.jobs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for the jobs of a run that was killed to end")
            fcntl.flock(self.jobs, fcntl.LOCK_EX)

    def release(self) -> None:
        for number in (self._own, self.jobs):
            with suppress(OSError):
                os.close(number)

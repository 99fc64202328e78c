"""A job of a comparison, and its outcome as read from its run folder."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_transformer.runs.naming import override_key
from lightning_transformer.runs.result import (
    DIVERGED,
    RESULT_FILE,
    RunResult,
    is_above_chance,
    read,
    read_history,
)

NOT_COMPARED = ("resume", "sweep", "callbacks.pause.step")

Key = tuple[str, int | None]  # of a job: folder and rung


@dataclass(frozen=True)
class Job:
    """One process: a run from its newest checkpoint to a rung, or to its end.

    Attributes:
        folder: below the comparison's own.
        until: the rung's step; None for the run's end.
        steps: optimizer steps that the run has done then.
        order: what sorts jobs; those of one seed follow each other, so that early answers are fair.
    """

    folder: str
    label: str
    overrides: tuple[str, ...]
    until: int | None
    steps: int
    order: tuple[int, ...]
    screening: bool = False

    @property
    def key(self) -> Key:
        return self.folder, self.until


@dataclass(frozen=True)
class Outcome:
    """The state of a job.

    Attributes:
        state: ``finished``; ``paused`` at a rung; ``diverged``; ``failed``; ``open`` for anything
            that is to be started or continued.
        loss: validation loss of its end or rung; None where there is none or it is not finite.
        start_loss: training loss of the first step, if it was logged.
        above_chance: whether the loss is above that of guessing.
        metrics: names of what was measured at the end.
    """

    state: str
    loss: float | None = None
    start_loss: float | None = None
    above_chance: bool = False
    step: int = 0
    seconds: float | None = None
    error: str | None = None
    metrics: tuple[str, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether another attempt would give the same."""
        return self.state not in ("open", "failed")

    @property
    def diverged(self) -> bool:
        """Whether there is no loss, or one above that of guessing."""
        return self.state == "diverged" or self.loss is None or self.above_chance

    @property
    def rank_loss(self) -> float:
        """The loss by which runs are ranked; infinite where it diverged or failed."""
        return math.inf if self.diverged or self.loss is None else self.loss


Outcomes = Mapping[Key, Outcome]


@dataclass(frozen=True)
class Price:
    """Seconds of a training step, of a validation and of the test."""

    step: float
    validation: float = 0.0
    test: float = 0.0


def outcome_of(folder: Path, overrides: Sequence[str], until: int | None) -> Outcome:
    """Read the outcome of a job; until: the rung at which it pauses, None for its end.

    Raises ValueError where the folder has a run of another configuration that has not failed.
    """
    if not (folder / RESULT_FILE).exists():
        return Outcome("open")
    result = read(folder)
    error = result.error or ""
    series = history(folder)
    first = dict(series.get("train/loss", [])).get(1)
    if result.status == "failed" and _differing(result, overrides):
        return Outcome("open")
    if result.status == "failed":
        state = "diverged" if DIVERGED.match(error) else "failed"
        return Outcome(state, start_loss=first, error=error)
    _check_same(folder, result, overrides)
    if result.status == "finished":
        if until is not None and (result.steps or 0) >= until:
            return Outcome("paused", dict(series.get("val/loss", [])).get(until), step=until)
        loss, names = result.metrics.get("val/loss"), tuple(result.metrics)
        above = loss is not None and is_above_chance(result, "val/loss", loss, series)
        return Outcome(
            "finished", loss, first, above, result.steps or 0, result.seconds, metrics=names
        )
    if until is not None and result.status == "stopped" and result.steps == until:
        loss = dict(series.get("val/loss", [])).get(until)
        if loss is None:
            raise ValueError(f"halving= chooses by val/loss, which {folder} lacks; leave it out")
        return Outcome("paused", loss if math.isfinite(loss) else None, step=until)
    return Outcome("open")


def history(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The run's logged values; empty where there are none yet."""
    try:
        return read_history(folder)
    except ValueError:
        return {}


def steps_done(folder: Path) -> int:
    """The last step that a run has logged."""
    series = history(folder)
    return max((points[-1][0] for points in series.values() if points), default=0)


def _check_same(folder: Path, result: RunResult, overrides: Sequence[str]) -> None:
    for key, then, now in _differing(result, overrides):
        raise ValueError(
            f"{folder} holds a run with {key}={then}, where this command has {key}={now}; choose "
            "another name="
        )


def _differing(
    result: RunResult, overrides: Sequence[str]
) -> list[tuple[str, str | None, str | None]]:
    """Keys that the run and this command give other values to, with both."""
    then, now = _as_dict(result.overrides), _as_dict(overrides)
    return [
        (k, then.get(k), now.get(k)) for k in sorted({*then, *now}) if then.get(k) != now.get(k)
    ]


def _as_dict(overrides: Sequence[str]) -> dict[str, str]:
    pairs = ((override_key(text), text.partition("=")[2]) for text in overrides)
    return {key: value for key, value in pairs if key not in NOT_COMPARED}

"""Resuming a run: the arguments it had, and what may differ now."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lightning_transformer.checkpoint.store import FOLDER, Checkpoint
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.naming import override_key
from lightning_transformer.runs.result import read
from lightning_transformer.runs.trusted_targets import check_links, check_overrides
from lightning_transformer.runs.untrusted import stored_config

# Only what does not change the meaning of the steps done so far. Rates are applied from then on.
MAY_CHANGE = ("trainer", "guard", "callbacks", "logger")
RATES = ("optimizer.lr", "optimizer.muon_lr")
# Checkpoints count in micro-batches; with a mean of the weights, that is the model that they hold.
MUST_STAY = ("trainer.accumulate", "callbacks.ema")
AUTO = "auto"


def resumed_arguments(arguments: Sequence[str]) -> list[str]:
    """With resume=FOLDER: the folder's own overrides, then the new ones, written to that folder.

    resume=auto hydra.run.dir=FOLDER does the same if the folder holds a checkpoint, and starts a
    run there if not: one command that a queue can start again and again.
    Raises ConfigError if there is no run in the folder.
    """
    asked = _last_value(arguments, "resume")
    if asked in (None, "null"):
        return list(arguments)
    if asked == AUTO:
        place = _last_value(arguments, "hydra.run.dir")
        if place is None:
            raise ConfigError(
                "resume=auto needs the folder that stays the same at every start, for example "
                "hydra.run.dir=outputs/runs/night"
            )
        folder = Path(place)
        if not any((folder / FOLDER).glob("step-*")):
            return list(arguments)
    else:
        folder = Path(asked)
    try:
        result = read(folder)
    except ValueError as error:
        raise ConfigError(f"resume={folder}: {error}") from None
    new = [a for a in arguments if not a.startswith(("resume=", "hydra.run.dir="))]
    keys = {"resume", *map(override_key, new)}
    old = [o for o in result.overrides if override_key(str(o)) not in keys]
    try:  # the folder may come from anywhere, and what it says is composed and written into
        check_overrides(old, folder)
        check_links(folder)
    except ValueError as error:
        raise ConfigError(f"resume={error}") from None
    return [*old, *new, f"resume={quoted(folder)}", f"hydra.run.dir={quoted(folder)}"]


def saved_config(folder: Path) -> dict[str, Any]:
    """The resolved configuration that a run was started with; ConfigError if it has none."""
    path = folder / "config.yaml"
    if not path.is_file():
        raise ConfigError(f"resume={folder}: the run failed before its first step; start it anew")
    try:
        return stored_config(path)
    except ValueError as error:
        raise ConfigError(f"resume={folder}: {error}") from None


def check_same(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Refuse to go on with a configuration that would make another run of it; show what differs."""
    changed = [
        f"{key}: {_show(a)} then, {_show(b)} now"
        for key, a, b in _differences(old, new, "")
        if key.removeprefix("model.") not in RATES  # a model holds its optimizer
        and (key.split(".")[0] not in MAY_CHANGE or key in MUST_STAY)
    ]
    if changed:
        raise ConfigError(
            f"resume: the configuration differs from the run's ({'; '.join(changed[:5])}); only "
            f"{', '.join((*MAY_CHANGE, *RATES))} may change, without {' or '.join(MUST_STAY)}. "
            "Start a new run instead"
        )


def check_same_data(start: Checkpoint | None, data_sha256: str) -> None:
    """Refuse to go on with other text under the same configuration; a file may have been edited."""
    then = None if start is None else start.facts.get("data_sha256")
    if start is not None and then is not None and then != data_sha256:
        raise ValueError(
            f"the data have changed since step {start.step} (data.sha256: "
            f"{str(then)[:12]} then, {data_sha256[:12]} now); put them back, or start a new run"
        )


def check_same_precision(start: Checkpoint | None, precision: str) -> None:
    """Refuse to go on where trainer.precision=auto stands for something else than it did."""
    if start is None:
        return
    then = start.facts.get("precision")
    if then is None:  # of an earlier version, for which auto was 32-true on every CPU
        raise ValueError(
            f"trainer.precision=auto is {precision} here, and the run does not say what it was "
            "where it began; add trainer.precision=32-true if that was a CPU, else bf16-mixed"
        )
    if then != precision:
        raise ValueError(
            f"trainer.precision=auto is {precision} on this machine and was {then} where the run "
            f"began; add trainer.precision={then} to go on as it was"
        )


def _differences(old: Any, new: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(n for n in new if n not in old)]:
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}".lstrip("."))
    elif old != new:
        yield key, old, new


def _last_value(arguments: Sequence[str], key: str) -> str | None:
    values = [a.split("=", 1)[1].strip("'\"") for a in arguments if a.startswith(f"{key}=")]
    return values[-1] if values else None


def quoted(folder: Path | str) -> str:
    """A folder as the value of an override."""
    text = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _show(value: Any) -> str:
    return "nothing" if value is None else str(value)

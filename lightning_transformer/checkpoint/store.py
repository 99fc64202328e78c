"""Checkpoint folders that are complete or absent, and known to be undamaged.

    checkpoints/step-200/           what a trainer writes: state.ckpt, a file or a folder of shards
    checkpoints/step-200/manifest.json     step, metrics, SHA-256 of every file, digests, versions
    checkpoints/frozen.ckpt                weights that the run does not train, if any; see `frozen`

A checkpoint is written beside its place under a temporary name, synced to the disk, and renamed: a
crash leaves the older ones and temporary files, never half of one. A step is never written over. A
bit that flips later is found by the digests. Standard library only, so that reading costs nothing.
"""

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lightning_transformer.checkpoint.hashing import digest
from lightning_transformer.runs.atomic import sync_folder, write_atomically

SCHEMA = 1
FOLDER, MANIFEST, STATE = "checkpoints", "manifest.json", "state.ckpt"
FROZEN = "frozen.ckpt"  # beside the checkpoints
QUARANTINE, TEMP_PREFIX = "aside-", "."  # what the names of folders that do not count begin with
MONITOR = "monitor"  # the name of `Monitor` among the facts of a checkpoint
KEEP = 2  # valid checkpoints that stay besides the best one, so that one may turn out damaged
_NAME = re.compile(r"step-(\d+)\Z")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose manifest could be read; `verify` says whether its files are undamaged."""

    path: Path
    step: int
    metrics: dict[str, float]  # of the validation at this step; empty if there was none
    facts: dict[str, Any] = field(default_factory=dict)  # digests of configuration and data, ...
    files: dict[str, dict[str, Any]] = field(default_factory=dict)  # name -> sha256 and bytes
    frozen: dict[str, Any] = field(default_factory=dict)  # the same of the frozen weights, if any

    @property
    def state(self) -> Path:
        """What the trainer wrote."""
        return self.path / STATE

    @property
    def size(self) -> int:
        """Bytes of all files of its own."""
        return sum(int(entry["bytes"]) for entry in self.files.values())


@dataclass(frozen=True)
class Monitor:
    """The validation metric by which the best checkpoint is chosen, and which values are better."""

    metric: str = "val/loss"
    mode: str = "min"  # or max

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Monitor":
        """The one that its run had; the loss where nothing is recorded."""
        noted = checkpoint.facts.get(MONITOR)
        if not isinstance(noted, dict):
            return cls()
        return cls(**{key: str(noted[key]) for key in ("metric", "mode") if key in noted})

    def rank(self, checkpoint: Checkpoint) -> tuple[float, int]:
        """What is least for the best: NaN comes last, and of equals the first step counts."""
        value = checkpoint.metrics[self.metric]
        signed = value if self.mode == "min" else -value
        return (math.inf if math.isnan(value) else signed, checkpoint.step)


# -- writing ---------------------------------------------------------------------------------------


def begin(folder: Path, step: int) -> Path:
    """Make the folder in which the files of a step are to be written, and return it."""
    assert not (folder / _name(step)).exists(), f"{folder / _name(step)} is there already"
    temporary = folder / f"{TEMP_PREFIX}{_name(step)}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    return temporary


def commit(
    temporary: Path,
    step: int,
    *,
    metrics: dict[str, float],
    facts: dict[str, Any],
    known: Mapping[str, dict[str, Any]] = MappingProxyType({}),
    frozen: Mapping[str, Any] = MappingProxyType({}),
) -> Checkpoint:
    """Give what has been written its digests and its name; from then on it counts.

    known: entries of files that have been digested while they were written, by name. frozen: of
    the file beside it that it needs.
    """
    files = sorted(path for path in temporary.rglob("*") if path.is_file())
    names = [path.relative_to(temporary).as_posix() for path in files]
    with ThreadPoolExecutor(max_workers=1) as hashing:  # while the disk is at work
        entries = hashing.map(lambda path, name: known.get(name) or digest(path), files, names)
        for path in files:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        found = Checkpoint(
            temporary.parent / _name(step),
            step,
            metrics,
            facts,
            dict(zip(names, entries, strict=True)),
            dict(frozen),
        )
    _write_manifest(temporary, found)
    for path in {path.parent for path in files} | {temporary}:
        sync_folder(path)
    os.rename(temporary, found.path)
    sync_folder(temporary.parent)
    return found


def add_facts(found: Checkpoint, facts: Mapping[str, Any]) -> Checkpoint:
    """Note what a resumed run records differently."""
    later = replace(found, facts={**found.facts, **facts})
    _write_manifest(found.path, later)
    return later


def add_metrics(found: Checkpoint, metrics: dict[str, float]) -> Checkpoint:
    """Note the validation of a checkpoint that was written before it."""
    later = replace(found, metrics=metrics)
    _write_manifest(found.path, later)
    return later


def prune(folder: Path, keep: int = KEEP) -> None:
    """Remove all but the newest few and the best one."""
    found = listed(folder)
    best = _best(found)
    for old in found[keep:]:
        if best is None or old.step != best.step:
            # A name that does not count comes first: half a checkpoint must not be found.
            removed = old.path.with_name(f"{TEMP_PREFIX}{old.path.name}.old")
            os.rename(old.path, removed)
            shutil.rmtree(removed)


def clean(folder: Path) -> None:
    """Remove what crashes have left half written or half removed."""
    for path in folder.glob(f"{TEMP_PREFIX}step-*"):
        shutil.rmtree(path)
    for path in folder.glob(f"{TEMP_PREFIX}{FROZEN}.*"):
        path.unlink()


def set_aside_after(folder: Path, step: int | None) -> list[str]:
    """Rename what claims to be newer than a step that training goes on from; return old names."""
    newer = [path for number, path in _steps(folder).items() if step is None or number > step]
    for path in newer:
        number, aside = 1, folder / f"{QUARANTINE}{path.name}"
        while aside.exists():
            number += 1
            aside = folder / f"{QUARANTINE}{path.name}~{number}"
        os.rename(path, aside)
    return [path.name for path in newer]


# -- reading ---------------------------------------------------------------------------------------


def listed(folder: Path) -> list[Checkpoint]:
    """Every checkpoint with a readable manifest, the newest first; nothing is verified."""
    found = []
    for path in _steps(folder).values():
        try:
            found.append(_read_manifest(path))
        except ValueError:
            continue
    return found


def verify(path: Path) -> Checkpoint:
    """Read a manifest and compare every file with it; ValueError says what is wrong."""
    found = _read_manifest(path)
    there = {
        file.relative_to(path).as_posix()
        for file in path.rglob("*")
        if file.is_file() and not file.name.startswith(TEMP_PREFIX)
    }
    if extra := sorted(there - {MANIFEST} - set(found.files)):
        raise ValueError(f"{path}: {extra[0]} is not in the manifest")
    needed = {path / name: entry for name, entry in found.files.items()}
    if found.frozen:
        needed[path.parent / FROZEN] = found.frozen
    for file, expected in needed.items():
        if not file.is_file():
            raise ValueError(f"{file} is missing")
        if file.stat().st_size != expected["bytes"]:
            raise ValueError(
                f"{file} has {file.stat().st_size} bytes, not the {expected['bytes']} written"
            )
        if digest(file) != expected:
            raise ValueError(f"{file} is damaged: its SHA-256 is not the one written")
    return found


def newest(folder: Path, say: Say) -> Checkpoint | None:
    """The newest undamaged checkpoint; says what is wrong with newer ones, a line each."""
    for step, path in _steps(folder).items():
        try:
            return verify(path)
        except ValueError as error:
            say(f"checkpoint of step {step} cannot be used: {error}")
    return None


def best(folder: Path) -> Checkpoint | None:
    """The checkpoint that is best by its run's `Monitor`; ValueError if it is damaged."""
    found = _best([_read_manifest(path) for path in _steps(folder).values()])
    return None if found is None else verify(found.path)


def last(folder: Path) -> Checkpoint | None:
    """The newest checkpoint; ValueError if it is damaged."""
    return next((verify(path) for path in _steps(folder).values()), None)


NAMED: dict[str, Callable[[Path], Checkpoint | None]] = {"best": best, "last": last}


def _steps(folder: Path) -> dict[int, Path]:
    """Folders that bear the name of a checkpoint, by step, the newest first."""
    found = {int(m[1]): path for path in folder.glob("step-*") if (m := _NAME.match(path.name))}
    return dict(sorted(found.items(), reverse=True))


def _name(step: int) -> str:
    return f"step-{step}"


def _best(found: Sequence[Checkpoint]) -> Checkpoint | None:
    """The best of checkpoints, the newest first; the newest one says by what."""
    monitor = Monitor.of(found[0]) if found else Monitor()
    validated = [c for c in found if monitor.metric in c.metrics]
    return min(validated, key=monitor.rank, default=None)


def _seal(content: dict[str, Any]) -> str:
    """The digest of a manifest's own content, so that damage to it is found too."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _write_manifest(folder: Path, found: Checkpoint) -> None:
    content = {"schema": SCHEMA, **asdict(found)}
    del content["path"]
    content["metrics"] = {k: v if math.isfinite(v) else None for k, v in found.metrics.items()}
    content["seal"] = _seal(content)
    write_atomically(folder / MANIFEST, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _read_manifest(path: Path) -> Checkpoint:
    file = path / MANIFEST
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        seal = content.pop("seal")
        sound = seal == _seal(content)
    except FileNotFoundError:
        raise ValueError(f"{path} has no {MANIFEST}") from None
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{file} is damaged: it is not the JSON that was written") from None
    if not sound:
        raise ValueError(f"{file} is damaged: its digest is not that of its content")
    if content["schema"] != SCHEMA:
        raise ValueError(
            f"{file}: schema={content['schema']} is not supported; this version reads {SCHEMA}"
        )
    if _name(content["step"]) != path.name:
        raise ValueError(f"{path} holds step {content['step']}")
    metrics = {k: math.nan if v is None else v for k, v in content["metrics"].items()}
    return Checkpoint(
        path,
        content["step"],
        metrics,
        content["facts"],
        content["files"],
        content.get("frozen", {}),  # which those of before have not
    )

"""Runs as recorded in their folders, each with its configuration; without torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lightning_transformer.compare.report.comparison import Comparison, read_comparison
from lightning_transformer.runs.evaluations import evaluated_metrics
from lightning_transformer.runs.result import (
    COMPARISON_FILE,
    HISTORY_FILE,
    RunResult,
    find_results,
    read,
    read_history,
)

WHERE = ("seed", "sweep", "resume")  # where and how a run is done, not what it compares


@dataclass(frozen=True)
class Omitted:
    """A run, or a file beside runs, that is in no table, and why."""

    place: str
    reason: str


@dataclass(frozen=True)
class Run:
    """A run: its folder, its result, its configuration as dotted keys, its logged values."""

    folder: Path
    result: RunResult
    config: Mapping[str, Any]
    history: Mapping[str, list[tuple[int, float]]] = field(default_factory=dict, repr=False)

    @property
    def seed(self) -> int:
        return -1 if self.result.seed is None else self.result.seed

    @property
    def overrides(self) -> dict[str, str]:
        """Overrides of the command line, key to value, without those of where a run is done."""
        pairs = (text.lstrip("+~").partition("=") for text in self.result.overrides)
        return {
            key: value
            for key, _, value in pairs
            if key not in WHERE and not key.startswith(("hydra.", "callbacks.pause."))
        }

    def has(self, key: str) -> bool:
        """Whether the run has a value for a group or key."""
        return key in self.overrides or key in self.result.choices or key in self.config

    def value(self, key: str) -> str:
        """The value of a group or key: as overridden, or as chosen by default."""
        overridden = self.overrides.get(key)
        return overridden if overridden is not None else self.default(key)

    def default(self, key: str) -> str:
        """The value of a key without overrides; raises ValueError for one it does not have."""
        if key in self.result.choices:
            return str(self.result.choices[key])
        if key in self.config:
            return plain(self.config[key])
        raise ValueError(f"{self.folder} has no key {key}; `by` takes groups and keys of the runs")


@dataclass(frozen=True)
class Loaded:
    """Runs that could be read, and what could not."""

    runs: list[Run]
    left_out: list[Omitted]


def plain(value: Any) -> str:
    """A value of a configuration as on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def load(paths: Iterable[Path]) -> Loaded:
    """Read all runs at or below the paths; what cannot be read is left out, with its reason.

    Raises:
        ValueError: in one line, when there is no run.
    """
    paths = [Path(path) for path in paths]
    there = [path for path in paths if path.exists()]
    left_out = [Omitted(str(path), "does not exist") for path in paths if not path.exists()]
    found = find_results(there or paths)
    files = [one.file for one in found if one.mark != "screening"]
    if not files:
        raise ValueError(
            f"{', '.join(map(str, paths))} holds no result.json; name a folder of runs, such as "
            "outputs/sweeps/norms"
        )
    sections: dict[str, dict[str, Any]] = {}
    runs = []
    for file in files:
        try:
            runs.append(_run(file.parent, sections, left_out))
        except (ValueError, OSError) as error:
            left_out.append(_left_out(file.parent, error))
    if not runs:
        raise ValueError(left_out[-1].reason)
    return Loaded(runs, left_out)


def comparison_in(folder: Path) -> tuple[Comparison | None, list[Omitted]]:
    """What `compare run` has written of the runs in a folder; or why it cannot be read."""
    try:
        return read_comparison(folder), []
    except (ValueError, OSError) as error:
        return None, [_left_out(folder / COMPARISON_FILE, error)]


def _left_out(place: Path, error: Exception) -> Omitted:
    return Omitted(str(place), " ".join(str(error).split()))


def _run(folder: Path, sections: dict[str, dict[str, Any]], left_out: list[Omitted]) -> Run:
    """A run; what is missing of its curves is noted in left_out."""
    result = read(folder)
    config_file, history_file = folder / "config.yaml", folder / HISTORY_FILE
    if not config_file.is_file():
        if result.status == "failed":  # before it had a configuration: it is counted as such
            return Run(folder, result, {})
        raise ValueError(f"{config_file} does not exist; a run is compared with its configuration")
    config = _config(config_file, sections)
    result.metrics |= evaluated_metrics(folder)
    try:
        history = read_history(history_file) if history_file.is_file() else {}
    except ValueError as error:
        left_out.append(_left_out(history_file, error))
        history = {}
    return Run(folder, result, config, history)


def _config(file: Path, sections: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Dotted key to value. Runs of a sweep share most top-level sections: each is parsed once."""
    flat: dict[str, Any] = {}
    for section in _split(file.read_text(encoding="utf-8")):
        if section not in sections:
            try:
                content = yaml.load(section, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            except yaml.YAMLError:
                raise ValueError(f"{file} is not valid YAML; run it again") from None
            if not isinstance(content, (dict, type(None))):
                raise ValueError(f"{file} is no configuration; run it again")
            sections[section] = dict(_flatten(content))
        flat |= sections[section]
    return flat


def _split(text: str) -> list[str]:
    parts: list[list[str]] = []
    for line in text.splitlines(keepends=True):
        if not parts or line[:1] not in (" ", "-", "\n", "#", "}", "]"):
            parts.append([])
        parts[-1].append(line)
    return ["".join(part) for part in parts]


def _flatten(content: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    elif prefix:
        yield prefix, content

"""What a run records about itself: `result.json`, and the CSV of its logged metrics.

Standard library only: `compare` and people's scripts read runs without importing torch.
"""

import csv
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.runs.typed_json import from_json

SCHEMA = 2  # 1: before the packages had their present names; no such run can be used any more
RESULT_FILE = "result.json"
HISTORY_FILE = "metrics.csv"
TRACEBACK_FILE = "traceback.txt"  # of a run that failed
# The error of a run whose learning rate was too high: repeating it would end the same.
DIVERGED = re.compile(r"NonFinite: |TrainingError: .*\bspikes?\b")
COPIES = ("mlruns", "mlartifacts")  # folders in which MLflow keeps copies of results
ABOVE_CHANCE = 1.1  # times the loss of guessing: a run above it has diverged
COMPARISON_FILE = "comparison.json"  # what `compare run` knows of the runs beside it
APART = ("screening", "ranking", "logs")  # what it keeps beside the runs that it reports
STATUSES = ("running", "finished", "failed", "stopped")


@dataclass
class RunResult:
    """Everything that a run reports; None or empty where it is not known (yet).

    Attributes:
        schema: version of this format.
        status: one of ``running``, ``finished``, ``failed``, ``stopped``.
        error: one line that says why a run failed; while a run reads its data, that it does.
        choices: config group to chosen option.
        overrides: what the user typed, one entry per override.
        seed: the seed of initial weights, data order and dropout.
        metrics: final value per metric name; None where it was not finite.
        chance: metric name to its value for guessing without looking, such as log V for a loss.
        baseline: metric name to what one guess for every target reaches, such as the majority.
        floor: metric name to the best value that there can be, where the data tell.
        signatures: metric name to how exactly it was computed, such as sacrebleu's.
        last_train_loss: nats per target of the last batch, whatever was logged.
        test_targets: what the test metrics are means of: tokens, words or texts.
        history: the CSV of logged metrics, in the run folder.
        n_params, n_params_non_embedding: tied ones counted once; the same without embeddings.
        n_params_trained, n_params_frozen: the two parts of n_params, see freeze and adapter.
        n_params_active: of these, what one token uses: fewer where there are experts.
        flops_per_token: of one training step (forward and backward).
        tokens_seen: tokens read in training, sources included and padding not; tokens_generated:
            written by the model in training; both over all ranks.
        steps: of the optimizer; seconds: wall time of training; tokens_per_second: over all ranks.
        ended: when the run ended, UTC, such as ``2026-01-31T12:00:00+00:00``.
        peak_memory_bytes: highest memory of one rank; device: its name; precision: of the trainer,
            such as ``bf16-mixed``; compiled: whether blocks are; stopped_early: why it ended.
        guard: number of steps ``skipped`` and of times ``rewound`` for spikes or non-finite values.
        init_from: path, family, sha256 of the weights to start with; fresh: names of other ones.
        reference: what the loss compares with: ``kind`` adapter off or values at the start.
        data: name, sha256, bytes and n_tokens of the data.
        samples_sha256: of the training examples seen, in order; see `data.loading.sample_digest`.
        commit: git commit of the code, if it ran from a checkout; versions: of packages.
        config_sha256: see `config_sha256`.
    """

    schema: int = SCHEMA
    status: str = "running"
    error: str | None = None
    choices: dict[str, str] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    seed: int | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    chance: dict[str, float] = field(default_factory=dict)
    baseline: dict[str, float] = field(default_factory=dict)
    floor: dict[str, float] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    last_train_loss: float | None = None
    test_targets: int | None = None
    history: str | None = None
    n_params: int | None = None
    n_params_non_embedding: int | None = None
    n_params_frozen: int | None = None
    n_params_trained: int | None = None
    n_params_active: int | None = None
    flops_per_token: float | None = None
    tokens_seen: int | None = None
    tokens_generated: int | None = None
    steps: int | None = None
    seconds: float | None = None
    ended: str | None = None
    tokens_per_second: float | None = None
    peak_memory_bytes: int | None = None
    device: str | None = None
    precision: str | None = None
    compiled: bool | None = None
    stopped_early: str | None = None
    guard: dict[str, int] = field(default_factory=dict)
    init_from: dict[str, str] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    reference: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    samples_sha256: str | None = None
    commit: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    config_sha256: str | None = None

    def write(self, folder: Path) -> Path:
        """Write ``folder/result.json`` completely or not at all, and return its path.

        NaN and infinity become null, which every JSON reader takes.
        """
        assert self.status in STATUSES, self.status
        text = json.dumps(_finite(asdict(self)), indent=2, allow_nan=False, ensure_ascii=False)
        path = Path(folder) / RESULT_FILE
        write_atomically(path, text + "\n")
        return path


def read(path: Path) -> RunResult:
    """Read a ``result.json``, given as the file or as the folder that holds it.

    Keys of a newer writer are left out. Raises ValueError when there is no such file, it is not
    JSON, or its schema is another one.
    """
    path = Path(path)
    file = path / RESULT_FILE if path.is_dir() else path
    if not file.is_file():
        raise ValueError(f"{file} does not exist; name a run folder that holds {RESULT_FILE}")
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file} is not valid JSON ({reason}); run it again") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file} is not a JSON object; run it again")
    _check_schema(file, content.get("schema"))
    hints = get_type_hints(RunResult)
    known: dict[str, Any] = {}
    for key, kind in hints.items():
        if key in content:
            try:
                known[key] = from_json(kind, content[key], key)
            except ValueError as error:
                raise ValueError(f"{file}: {error}; run it again") from None
    if (status := known.get("status")) not in (None, *STATUSES):
        raise ValueError(f"{file}: status={status!r} must be one of {', '.join(STATUSES)}")
    return RunResult(**known)


def has_diverged(result: RunResult, history: Mapping[str, Sequence[tuple[int, float]]]) -> bool:
    """Whether a run ended with a loss that is not finite, or above that of guessing."""
    name = next((name for name in ("test/loss", "val/loss") if name in result.metrics), None)
    if name is None:
        return False
    loss = result.metrics[name]
    return loss is None or not math.isfinite(loss) or is_above_chance(result, name, loss, history)


def is_above_chance(
    result: RunResult,
    name: str,
    loss: float,
    history: Mapping[str, Sequence[tuple[int, float]]],
) -> bool:
    """Whether a loss is above that of guessing by a tenth, and the last training loss too.

    A run that fits its training text alone has over-fitted, and one that has learned nothing stays
    at the level of guessing: neither did diverge. False where no such level is recorded.
    """
    if name not in result.chance:
        return False
    limit, training = ABOVE_CHANCE * result.chance[name], result.last_train_loss
    if training is None and history.get("train/loss"):
        training = history["train/loss"][-1][1]
    return loss > limit and (training is None or not training <= limit)


def check_version(folder: Path) -> None:
    """Refuse a run folder of another version by its ``result.json``; one without passes."""
    file = Path(folder) / RESULT_FILE
    try:
        schema = json.loads(file.read_text(encoding="utf-8"))["schema"]
    except (OSError, ValueError, RecursionError, TypeError, KeyError):
        return  # what else is in the folder says whether it can be used
    _check_schema(file, schema)


def _check_schema(file: Path, schema: object) -> None:
    if type(schema) is not int or schema != SCHEMA:
        older = type(schema) is int and schema < SCHEMA
        advice = "; it is of an older version: run it again" if older else ""
        raise ValueError(
            f"{file}: schema={schema!r} is not supported; this version reads {SCHEMA}{advice}"
        )


@dataclass(frozen=True)
class FoundResult:
    """A ``result.json``, and what tells its run from a finished one.

    Attributes:
        file: its path; ``read`` takes it.
        mark: empty for a finished run; ``failed``, ``stopped`` or ``running``, which have no final
            metrics; ``unreadable``; ``screening`` for one that only served to choose a rate.
    """

    file: Path
    mark: str = ""


def find_results(paths: Iterable[Path]) -> Iterator[FoundResult]:
    """Yield every ``result.json`` at or below the given paths, sorted, each file once.

    Raises ValueError when one of the paths does not exist.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise ValueError(
                f"{path} does not exist; name a folder of runs, such as outputs/sweeps"
            )
        for file in [path] if path.is_file() else _below(path):
            found.setdefault(file.resolve(), file)
    for file in sorted(found.values()):
        yield FoundResult(file, mark_of(file))


def mark_of(file: Path) -> str:
    """What tells the run of a ``result.json`` from a finished one; see `FoundResult`."""
    beside = [parent.parent for parent in file.absolute().parents if parent.name in APART]
    if any((folder / COMPARISON_FILE).is_file() for folder in beside):
        return "screening"
    try:
        status = read(file).status
    except (ValueError, OSError):
        return "unreadable"
    return "" if status == "finished" else status


def config_sha256(config: dict[str, Any]) -> str:
    """Return the SHA-256 of a plain, resolved config, the same for any order of its keys."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def read_history(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read a run's ``metrics.csv`` (or its folder) as metric name to [(step, value), ..].

    Steps are optimizer steps in ascending order; ``seconds`` is one of the series. A last line
    without its line end is what an interrupted write leaves, and is not read.
    Raises ValueError when there is no such file or a line in it does not fit the header.
    """
    path = Path(path)
    file = path / HISTORY_FILE if path.is_dir() else path
    if not file.is_file():
        raise ValueError(f"{file} does not exist; name a run folder that holds {HISTORY_FILE}")
    rows = csv.reader(complete_lines(file))
    header = next(rows, [])
    series: dict[str, list[tuple[int, float]]] = {name: [] for name in header[1:]}
    for number, row in enumerate(rows, start=2):
        try:
            step = int(row[0])
            cells = [float(cell) if cell else None for cell in row[1:]]
            for name, cell in zip(header[1:], cells, strict=True):
                if cell is not None:
                    series[name].append((step, cell))
        except (ValueError, IndexError):
            raise ValueError(f"{file}: line {number} does not fit its header; remove it") from None
    return series


def complete_lines(file: Path) -> list[str]:
    """Return the lines of a text file without a last one that has no line end."""
    with file.open(encoding="utf-8") as stream:
        lines = stream.readlines()
    return lines if not lines or lines[-1].endswith("\n") else lines[:-1]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _below(folder: Path) -> Iterator[Path]:
    # os.walk stays off linked folders, so a link such as "latest" does not count a run twice
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in COPIES]
        if RESULT_FILE in files:
            yield Path(parent) / RESULT_FILE

"""What an evaluation found, and its file: RUN/evaluations/NAME.json."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lightning_transformer.evaluate.settings import Setting
from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.runs.evaluations import (
    EVALUATION_SCHEMA,
    EVALUATIONS,
    read_evaluation,
)
from lightning_transformer.runs.naming import job_name


@dataclass(frozen=True)
class Evaluation:
    """What was measured of a run; None or empty where it could not be.

    Attributes:
        run: its folder.
        checkpoint: ``best`` or ``last``.
        step: optimizer steps done at this checkpoint.
        split: ``test``, ``val`` or ``train``.
        overrides: what was changed of the run's configuration.
        error: one line that says why it could not be measured.
        metrics: name to value; None where it is not finite.
        baseline: metric name to what the run's one guess for every target reaches here.
        floor: metric name to the best value that there can be, where the data tell.
        signatures: metric name to how exactly it was computed, such as sacrebleu's.
        n_documents: texts of the split before they become rows.
        n_examples: rows that were measured.
        n_left_out: rows beyond trainer.limit_test_batches or limit_val_batches.
        n_targets: tokens, words or texts that the metrics are means of.
        n_unknown: tokens of the text that the run's tokenizer does not know.
        data: name, sha256 and bytes of the split's text, and its n_tokens.
        document_losses: file with the loss of each example, relative to this one.
        item_scores: of a task, metric name to the file with the score of each item, likewise.
    """

    run: str
    checkpoint: str
    split: str
    overrides: list[str] = field(default_factory=list)
    step: int | None = None
    error: str | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    baseline: dict[str, float] = field(default_factory=dict)
    floor: dict[str, float] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    n_documents: int | None = None
    n_examples: int | None = None
    n_left_out: int | None = None
    n_targets: int | None = None
    n_unknown: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    precision: str | None = None
    device: str | None = None
    seconds: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    document_losses: str | None = None
    item_scores: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The content of the file; metrics that are not finite are null."""
        content = {"schema": EVALUATION_SCHEMA, **asdict(self)}
        content["metrics"] = {k: _finite(value) for k, value in self.metrics.items()}
        return content


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def name_of(setting: Setting, checkpoint: str = "best") -> str:
    """The name of an evaluation among those of a run, such as ``data.seq_len=512,split=test``."""
    last = [] if checkpoint == "best" else [f"checkpoint={checkpoint}"]
    return job_name([f"split={setting.split}", *setting.overrides, *last])


def place_of(run: Path, setting: Setting, checkpoint: str = "best") -> Path:
    """The file of an evaluation in its run folder."""
    return run / EVALUATIONS / f"{name_of(setting, checkpoint)}.json"


def check_place(path: Path, setting: Setting) -> None:
    """Refuse to write over what is no earlier result of the same evaluation; ValueError."""
    if not path.exists():
        return
    content = read_evaluation(path)
    if content is None or (content.get("split"), content.get("overrides")) != (
        setting.split,
        list(setting.overrides),
    ):
        raise ValueError(f"{path} holds something else; move it, or write elsewhere with --json")


def write_json(path: Path, content: Mapping[str, Any] | list[Any]) -> None:
    """Write a file completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text + "\n")

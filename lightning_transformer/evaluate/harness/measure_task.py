"""A task of lm-eval measured on one run, with the score of each of its items."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lightning_transformer.build import load_run
from lightning_transformer.checkpoint import store
from lightning_transformer.checkpoint.run_files import RunFiles
from lightning_transformer.evaluate.harness.language_model import LanguageModel
from lightning_transformer.evaluate.harness.task_files import TaskFile, load_task
from lightning_transformer.evaluate.record import Evaluation
from lightning_transformer.training import environment

# As `with_documents` has them, so that a comparison reads both alike.
ITEMS = np.dtype([("loss", np.float64), ("count", np.int64), ("document", np.int64)])


@dataclass(frozen=True)
class MeasuredTask:
    """An evaluation by a task, and by metric the score of each item (n,): ITEMS."""

    evaluation: Evaluation
    scores: dict[str, np.ndarray]


def measure_task(
    run: Path, file: TaskFile, checkpoint: str = "best", trust: Sequence[str] = ()
) -> MeasuredTask:
    """Measure a run by a task; writes nothing.

    Raises ValueError, in one line, for a model that is no decoder of text, and for a task that
    asks for what is not done.
    """
    task = load_task(file)
    found = store.NAMED[checkpoint](RunFiles(run).checkpoints)
    model = load_run(run, checkpoint, trust)
    assert found is not None, "load_run has read it"
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    asked = LanguageModel(model)
    began = time.perf_counter()
    results = ask(asked, {file.name: task})
    samples = results["samples"][file.name]
    metrics = metrics_of(results["results"][file.name])
    n_items = len({sample["doc_id"] for sample in samples})
    evaluation = Evaluation(
        run=str(run),
        checkpoint=checkpoint,
        step=found.step,
        split="test",
        overrides=[f"tasks={file.name}"],
        metrics={f"test/{metric}": value for metric, value in metrics.items()},
        n_documents=n_items,
        n_examples=n_items,
        n_left_out=0,
        n_targets=asked.n_tokens,
        n_unknown=asked.n_unknown,
        data={"name": file.name, "sha256": digest(samples), "n_tokens": asked.n_tokens},
        precision="32-true",
        device=environment.device_name(model.device),
        seconds=time.perf_counter() - began,
        versions=environment.versions(),
    )
    return MeasuredTask(evaluation, item_scores(samples, list(metrics)))


def ask(asked: LanguageModel, tasks: Mapping[str, Any]) -> dict[str, Any]:
    """What lm-eval finds of a language model: `results` and `samples` by the name of a task."""
    # Not at the top: the package is an extra.
    from lm_eval.api.model import LM
    from lm_eval.evaluator import evaluate

    class Asked(LM):
        """`LanguageModel` under the interface of lm-eval."""

        def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
            return asked.loglikelihood([request.args for request in requests])

        def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
            return asked.loglikelihood_rolling([request.args[0] for request in requests])

        def generate_until(self, requests: list[Any]) -> list[str]:
            return asked.generate_until([request.args for request in requests])

    # Standard errors are left to the comparison, which knows of seeds as well.
    found = evaluate(Asked(), {"tasks": dict(tasks), "groups": {}}, bootstrap_iters=0)
    assert found is not None, "one process"
    return dict(found)


def metrics_of(results: Mapping[str, Any]) -> dict[str, float]:
    """Metrics by name: ``acc``, or ``exact_match(strict)`` behind a filter of that name."""
    return {
        metric_name(*key.split(",", 1)): float(value)
        for key, value in results.items()
        if "," in key and "_stderr," not in key and _is_number(value)
    }


def metric_name(metric: str, filtered: str) -> str:
    """The name of a metric; lm-eval's filter `none` stands for no filter."""
    return metric if filtered == "none" else f"{metric}({filtered})"


def item_scores(
    samples: Sequence[Mapping[str, Any]], metrics: Sequence[str]
) -> dict[str, np.ndarray]:
    """The scores of items, in order, of metrics that are numbers item by item."""
    found = {}
    for name in metrics:
        pairs = [
            (sample["doc_id"], sample[metric])
            for sample in samples
            for metric in sample["metrics"]
            if metric_name(metric, sample["filter"]) == name
        ]
        if pairs and all(_is_number(value) for _, value in pairs):
            rows = np.zeros(len(pairs), dtype=ITEMS)
            rows["document"], rows["loss"] = map(list, zip(*sorted(pairs), strict=True))
            rows["count"] = 1
            found[name] = rows
    return found


def digest(samples: Sequence[Mapping[str, Any]]) -> str:
    """SHA-256 of what was asked, whatever was answered: runs can be paired where it is the same."""
    asked = sorted(
        {(s["doc_id"], s["doc_hash"], s["prompt_hash"], s["target_hash"]) for s in samples}
    )
    return hashlib.sha256(repr(asked).encode()).hexdigest()


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, np.number)) and math.isfinite(value)

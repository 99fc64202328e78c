"""A double of lm-eval, which is an extra: its names, its forms, and one kind of task."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml


class Choices:
    """A task of multiple choice as lm-eval's `output_type: multiple_choice`: its items by file."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def get_config(self, key: str) -> Any:
        return self.content.get(key)

    def set_config(self, key: str, value: Any) -> None:
        self.content[key] = value

    def set_fewshot_seed(self, seed: int) -> None:
        self.content["seed"] = seed


def load_yaml(path: Path, resolve_func: bool) -> dict[str, Any]:
    assert not resolve_func
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def evaluate(model: Any, tasks: dict[str, Any], bootstrap_iters: int) -> dict[str, Any]:
    """acc of each task, and its items, in the form of lm-eval 0.4.13."""
    assert bootstrap_iters == 0
    results, samples = {}, {}
    for name, task in tasks["tasks"].items():
        assert (task.get_config("num_fewshot"), task.content["seed"]) == (0, 1234)
        rows = [_item(model, i, doc) for i, doc in enumerate(task.content["items"])]
        mean = sum(row["acc"] for row in rows) / len(rows)
        found = {"alias": name, "acc,none": mean, "acc_stderr,none": "N/A"}
        results[name], samples[name] = found, rows
    return {"results": results, "samples": samples}


def _item(model: Any, number: int, doc: dict[str, Any]) -> dict[str, Any]:
    asked = [SimpleNamespace(args=(doc["context"], " " + choice)) for choice in doc["choices"]]
    scores = [logprob for logprob, _ in model.loglikelihood(asked)]
    digest = hashlib.sha256(repr(doc).encode()).hexdigest()
    return {
        "doc_id": number,
        "doc_hash": digest,
        "prompt_hash": digest,
        "target_hash": digest,
        "filter": "none",
        "metrics": ["acc"],
        "acc": float(scores.index(max(scores)) == doc["right"]),
    }


@pytest.fixture
def lm_eval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the double in the place of the package, for as long as a test runs."""

    class Manager:
        def __init__(self, include_defaults: bool) -> None:
            assert not include_defaults

        def load(self, paths: list[str]) -> dict[str, Any]:
            found = [Choices(load_yaml(Path(path), resolve_func=False)) for path in paths]
            return {"tasks": {task.content["task"]: task for task in found}, "groups": {}}

    parts: dict[str, dict[str, Any]] = {
        "lm_eval": {},
        "lm_eval.api": {},
        "lm_eval.api.model": {"LM": object},
        "lm_eval.evaluator": {"evaluate": evaluate},
        "lm_eval.tasks": {"TaskManager": Manager},
        "lm_eval.tasks._yaml_loader": {"load_yaml": load_yaml},
    }
    for name, content in parts.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(
        "lightning_transformer.evaluate.harness.task_files.find_spec", lambda name: object()
    )

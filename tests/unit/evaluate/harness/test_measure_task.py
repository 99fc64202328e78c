"""Runs measured by a task: the files, the score of each item, and how a comparison pairs them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lightning_transformer import build
from lightning_transformer.evaluate.__main__ import main
from lightning_transformer.evaluate.harness.measure_task import digest, item_scores, metrics_of
from lightning_transformer.runs.evaluations import evaluated_metrics
from lightning_transformer.runs.evaluations import item_scores as scores_of_run
from lightning_transformer.tasks.base import Batch
from tests.helpers.short_runs import short_run

ITEMS = [
    {"context": f"the {a} sat on", "choices": ["a mat", b, "the old house"], "right": i % 3}
    for i, (a, b) in enumerate([("cat", "it"), ("dog", "him"), ("bird", "us"), ("mat", "some")])
]


def task_file(folder: Path, name: str = "sat", items: object = ITEMS) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"task": name, "items": items}), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    short_run(folder)
    return folder


@torch.no_grad()
def right_by_hand(run: Path) -> list[float]:
    """1 for each item whose right choice is the likeliest, from full passes of bytes."""
    model, found = build.load_run(run), []
    for item in ITEMS:
        scores = []
        for choice in item["choices"]:
            row = list(f"{item['context']} {choice}".encode())[-model.max_len - 1 :]
            ids = torch.tensor([row])
            logs = model.task.head(model.features(Batch.without_labels(ids[:, :-1]))[0])
            n = len(choice) + 1
            picked = logs.log_softmax(-1).gather(-1, ids[0, 1:, None])[-n:]
            scores.append(float(picked.sum()))
        found.append(float(int(np.argmax(scores)) == item["right"]))
    return found


@pytest.mark.usefixtures("lm_eval")
def test_a_task_leaves_its_metric_and_the_score_of_each_item(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = task_file(tmp_path)
    assert main([str(run), "--tasks", str(file)]) == 0
    place = run / "evaluations" / "split=test,tasks=sat.json"
    found = json.loads(place.read_text(encoding="utf-8"))
    expected = right_by_hand(run)
    assert 0 < sum(expected) < len(ITEMS)  # else nothing would be told
    assert found["metrics"] == {"test/acc": sum(expected) / len(ITEMS)}
    rows = np.load(place.parent / found["item_scores"]["test/acc"])
    assert rows["loss"].tolist() == expected
    assert rows["document"].tolist() == [0, 1, 2, 3]
    assert set(rows["count"]) == {1}
    texts = [" " + choice for item in ITEMS for choice in item["choices"]]
    assert found["n_targets"] == sum(map(len, texts))
    assert (found["n_examples"], found["n_unknown"]) == (4, 0)
    assert evaluated_metrics(run) == {"eval[tasks=sat]/acc": sum(expected) / 4}
    known = scores_of_run(run, "eval[tasks=sat]/acc")
    assert known is not None
    assert (known.file.name, known.items) == ("acc.npy", found["data"]["sha256"])
    assert "sat" in capsys.readouterr().out


def test_names_and_items_of_metrics() -> None:
    results = {"alias": "x", "acc,none": 0.5, "acc_stderr,none": "N/A", "exact_match,strict": 1}
    assert metrics_of(results) == {"acc": 0.5, "exact_match(strict)": 1.0}
    samples = [
        {"doc_id": i, "filter": key, "metrics": ["acc", "ppl"], "acc": i == 1, "ppl": (1.0, 2)}
        for key in ("none", "strict")
        for i in (1, 0)
    ]
    found = item_scores(samples, ["acc", "acc(strict)", "ppl"])
    assert sorted(found) == ["acc", "acc(strict)"]
    assert found["acc"]["loss"].tolist() == [0.0, 1.0]  # in the order of the items


def test_the_digest_is_of_what_was_asked() -> None:
    sample = {"doc_id": 0, "doc_hash": "a", "prompt_hash": "b", "target_hash": "c", "acc": 1.0}
    assert digest([sample]) == digest([{**sample, "acc": 0.0}, sample])
    assert digest([sample]) != digest([{**sample, "prompt_hash": "x"}])

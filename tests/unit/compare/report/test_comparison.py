"""comparison.json: what is written is read back, and another shape is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lightning_transformer.compare.report.comparison import (
    Comparison,
    EarlyStop,
    FailedJob,
    MatchResult,
    RateSearch,
    TunedKey,
    read_comparison,
)
from lightning_transformer.runs.result import COMPARISON_FILE

FULL = Comparison(
    name="norms",
    by=["norm"],
    baseline={"norm": "a"},
    seeds=[1, 2],
    lr=RateSearch(
        policy="sweep3",
        base=0.01,
        bases={"norm=a": {"optimizer.lr": 0.01}},
        chosen={"norm=a": 0.02},
        screening={"norm=a": {"0.01": 2.5, "0.02": None}},
        loss_at_init={"norm=a": 5.0},
        at_edge=["norm=a"],
        widened={"norm=a": 1},
        seeds=[9001, 9002],
        runs={"norm=a": {"0.01": [2.4, 2.6], "0.02": [2.0, None]}},
        rule={"norm=a": "on the curve"},
        price={"norm=a": 0.002},
        excess={"norm=a": 0.02},
        tuned={"norm=a": {"optimizer.weight_decay": TunedKey({"0": [2.5], "0.1": [None]}, "0")}},
    ),
    match=MatchResult("params", "ffn.hidden_mult", {"norm=b": 0.01}),
    placebo="placebo",
    stopped={"norm=b": EarlyStop(30, "worse")},
    failures=[FailedJob("norm=b,seed=1", "out of memory", 2)],
    stage="runs",
    ranking_seeds=[8001],
    command="python -m lightning_transformer.compare run norm=a,b",
)
# The keys on disk, which docs/reference/comparison_json.md describes.
KEYS = ["schema", "name", "by", "baseline", "metric", "seeds", "n_seeds", "looks", "lr", "match",
        "placebo", "stopped", "failures", "stage", "ranking_seeds", "command",
        "mixed_devices"]  # fmt: skip


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    FULL.write(tmp_path)
    assert read_comparison(tmp_path) == FULL
    content = json.loads((tmp_path / COMPARISON_FILE).read_text())
    assert list(content) == KEYS
    assert content["stopped"] == {"norm=b": {"step": 30, "reason": "worse"}}


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    FULL.write(tmp_path)
    file = tmp_path / COMPARISON_FILE
    content = json.loads(file.read_text())
    del content["ranking_seeds"]
    for key in ("seeds", "runs", "rule", "price", "excess", "tuned"):
        del content["lr"][key]
    file.write_text(json.dumps(content))
    found = read_comparison(tmp_path)
    assert found is not None
    assert (found.ranking_seeds, found.lr.runs, found.lr.chosen) == ([], {}, {"norm=a": 0.02})


def test_a_folder_without_the_file_has_none(tmp_path: Path) -> None:
    assert read_comparison(tmp_path) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("schema", 2), ("by", "norm"), ("lr", 3), ("stopped", {"norm=b": 30}), ("failures", [1])],
)
def test_another_shape_is_refused_in_one_line(tmp_path: Path, key: str, value: object) -> None:
    FULL.write(tmp_path)
    file = tmp_path / COMPARISON_FILE
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, key: value}))
    with pytest.raises(ValueError, match=r"comparison\.json.*; run the comparison again$") as error:
        read_comparison(tmp_path)
    assert "\n" not in str(error.value)

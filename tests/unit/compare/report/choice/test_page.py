"""What a report says of the choice of rates and tuned values."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.compare.report.choice.page import choice_sources, choice_warnings
from lightning_transformer.compare.report.comparison import (
    Comparison,
    EarlyStop,
    RateSearch,
    TunedKey,
)
from lightning_transformer.compare.report.design import Design
from tests.unit.compare.report.made_runs import made_sweep
from tests.unit.compare.report.test_write import MEANS, of, report

RUNS = {"0.005": [2.3, 2.5], "0.01": [2.2, 2.41], "0.02": [2.32, 2.5]}
LABELS = ("norm=rmsnorm", "norm=layernorm", "norm=none")
SEARCH = RateSearch(
    "sweep3",
    chosen=dict.fromkeys(LABELS, 0.0098),
    screening={label: {rate: sum(y) / 2 for rate, y in RUNS.items()} for label in LABELS},
    runs=dict.fromkeys(LABELS, RUNS),
    rule=dict.fromkeys(LABELS, "the lowest rate"),
    price=dict.fromkeys(LABELS, 0.0023),
    excess=dict.fromkeys(LABELS, 0.0234),
    seeds=[9001, 9002],
)


def reported(folder: Path, **changes: Any) -> tuple[dict[str, Any], str]:
    """report.json and the page, of runs whose comparison has this search."""
    made_sweep(folder, MEANS)
    comparison = Comparison(
        name="made", by=["norm"], baseline={"norm": "rmsnorm"}, seeds=[1, 2, 3, 4, 5], lr=SEARCH
    )
    replace(comparison, **changes).write(folder)
    return report(folder), (folder / "report.html").read_text(encoding="utf-8")


def test_the_choice_of_rates_widens_every_interval(tmp_path: Path) -> None:
    content, page = reported(tmp_path / "s")
    fixed, _ = reported(tmp_path / "fixed", lr=RateSearch("fixed"))
    for norm in ("layernorm", "none"):
        ours, plain = of(content, norm)["effect"], of(fixed, norm)["effect"]
        assert set(ours["noise"]) == {"seeds", "learning rate"}
        assert set(plain["noise"]) == {"seeds"}
        assert ours["high"] - ours["low"] > plain["high"] - plain["low"]
        assert ours["delta"] == plain["delta"]
    (row,) = [row for row in content["learning_rates"]["curves"] if row["variant"] == LABELS[2]]
    assert (row["price"], row["excess"], row["rule"]) == (0.0023, 0.0234, "the lowest rate")
    assert re.search(r'data-path="/learning_rates/curves/0/excess">0\.0234', page)
    assert "seeds 9001, 9002; dots are means" in page
    facts = {fact["name"]: fact["value"] for fact in content["facts"]}
    assert facts["learning rate"] == "tuned per variant on val, with seeds 9001, 9002"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"runs": {}}, "norm=rmsnorm (from one run per rate)"),
        (
            {"runs": {**dict.fromkeys(LABELS, RUNS), "norm=none": {"0.01": [2.0, 2.1]}}},
            "norm=none (the best tried rate, because fewer than three trained)",
        ),
        (
            {
                "tuned": {
                    label: {"wd": TunedKey({"0": [None], "1": [None]}, "0")} for label in LABELS
                }
            },
            "the noise of choosing tuned values",
        ),
    ],
)
def test_what_no_interval_holds_is_said_in_the_head(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    content, _ = reported(tmp_path / "s", lr=replace(SEARCH, **changes))
    assert any(said in warning for warning in content["warnings"])


def test_of_another_metric_the_noise_of_the_choice_is_not_known() -> None:
    comparison = Comparison(by=["norm"], lr=SEARCH)
    found = Design(("norm",), LABELS, {}, {}, "", comparison, "test/loss", lower_is_better=True)
    assert choice_warnings(found) == []
    assert [one.name for one in choice_sources(found, LABELS[1])] == ["learning rate"]
    accuracy = replace(found, metric="test/accuracy")
    assert "that of choosing learning rates" in choice_warnings(accuracy)[0]
    assert choice_sources(accuracy, LABELS[1]) == []


def test_tuned_values_and_stopped_variants_are_named(tmp_path: Path) -> None:
    keys = {"optimizer.weight_decay": TunedKey({"0": [2.1, 2.2], "0.1": [2.0, 2.15]}, "0.1")}
    content, page = reported(
        tmp_path / "s",
        lr=replace(SEARCH, tuned=dict.fromkeys(LABELS, keys)),
        stopped={"norm=bad": EarlyStop(30, "val/loss 9.0 at step 30 is rank 2 of 2")},
        ranking_seeds=[8001, 8002, 8003],
    )
    assert set(of(content, "none")["effect"]["noise"]) == {
        "seeds",
        "learning rate",
        "tuned values",
    }
    assert "optimizer.weight_decay=0.1 has the lowest val/loss of 0, 0.1" in page
    facts = {fact["name"]: fact["value"] for fact in content["facts"]}
    assert "seeds 8001, 8002, 8003" in facts["halving"]
    assert "norm=bad: val/loss 9.0 at step 30 is rank 2 of 2" in facts["halving"]

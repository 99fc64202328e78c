"""What was to be equal, and what is left of the difference after the runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_transformer.compare.report.comparison import Comparison, MatchResult
from lightning_transformer.compare.report.render.markdown import markdown
from lightning_transformer.compare.report.report import Report
from lightning_transformer.compare.report.write import Wanted, build_report
from tests.unit.compare.report.made_runs import make_run


def matched(folder: Path, axis: str, residual: float, **other) -> Report:
    folder.mkdir(exist_ok=True)
    match = MatchResult(axis, "", {"norm=b": residual})
    Comparison(name="x", by=["norm"], baseline={"norm": "a"}, match=match).write(folder)
    for norm, changed in (("a", {}), ("b", other)):
        for seed in (1, 2, 3):
            loss = 2.0 + seed / 50 + (norm == "b") * seed**2 / 500
            make_run(folder / f"{norm}{seed}", seed=seed, loss=loss, norm=norm, **changed)
    return build_report([folder])


def equal(report: Report) -> dict[str, tuple[bool, bool]]:
    return {one.what: (one.equal, one.asked) for one in report.matched}


def test_equal_flops_are_those_of_all_tokens(tmp_path):
    """Twice the cost of a token and half as many: equal, as was asked."""
    report = matched(tmp_path, "flops", 0.0, flops_per_token=12000.0, tokens_seen=2000)
    found = equal(report)
    assert found["training FLOPs"] == (True, True)
    assert found["training FLOPs per token"] == (False, False)
    assert found["training tokens"] == (False, False)
    assert not any("match=" in text for text in report.warnings)


def test_what_is_left_after_the_runs_stands_in_the_report(tmp_path):
    report = matched(tmp_path, "flops", -0.16, flops_per_token=12000.0, tokens_seen=1680)
    assert equal(report)["training FLOPs"] == (False, True)
    assert report.warnings[0] == (
        "match=flops left a difference from the baseline, after the runs: norm=b -16.0%."
    )
    (fact,) = [fact.value for fact in report.facts if fact.name == "match"]
    assert fact == "flops; left after the runs: norm=b -16.00%"
    assert fact in markdown(report)


@pytest.mark.parametrize(("axis", "what"), [("params", "parameters without embeddings"),
                                            ("time", "training time")])  # fmt: skip
def test_each_axis_marks_what_it_was_asked_to_make_equal(tmp_path, axis, what):
    found = equal(matched(tmp_path, axis, 0.0))
    assert [name for name, (_, asked) in found.items() if asked] == [what]


def test_of_experts_all_and_active_parameters_are_shown(tmp_path):
    other = {"n_params_non_embedding": 4000, "n_params_active": 1000}
    report = matched(tmp_path, "params", 0.0, **other)
    found = equal(report)
    assert found["active parameters without embeddings"] == (True, True)
    assert found["parameters without embeddings"] == (False, False)
    assert "4,000 (1,000 active)" in markdown(report)


def test_a_report_says_at_which_compute_it_was_found(tmp_path):
    """4000 tokens of 6000 FLOPs; the second variant has half as many tokens."""
    for norm, tokens in (("a", 4000), ("b", 2000)):
        make_run(tmp_path / norm, seed=1, loss=2.0, norm=norm, tokens_seen=tokens)
    report = build_report([tmp_path], Wanted(mixing="force"))
    fact = next(fact.value for fact in report.facts if fact.name == "compute")
    assert fact == "found at 1.2e7 to 2.4e7 training FLOPs a run; larger models may differ"
    assert f"| compute | {fact} |" in markdown(report)


def test_unknown_compute_is_said(tmp_path):
    for norm in ("a", "b"):
        make_run(tmp_path / norm, seed=1, loss=2.0, norm=norm, flops_per_token=None)
    fact = next(f.value for f in build_report([tmp_path]).facts if f.name == "compute")
    assert fact == "unknown; the runs do not record their FLOPs"

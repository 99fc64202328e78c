"""The part of test documents in a difference: by hand, by simulation, and from run folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_transformer.compare.report.render.markdown import markdown
from lightning_transformer.compare.report.render.scope import scope
from lightning_transformer.compare.report.report import Report
from lightning_transformer.compare.report.sources.documents import (
    FEWEST,
    document_source,
    effective_number,
)
from lightning_transformer.compare.report.write import Wanted, build_report
from tests.unit.compare.report.made_runs import make_run
from tests.unit.compare.report.sources.document_simulation import (
    REPEATS,
    Case,
    lengths,
    simulate,
)


def test_of_equal_documents_it_is_the_component_of_a_table_of_two_ways() -> None:
    """(mean square of documents - mean square of both) / (n D), as any textbook has it."""
    generator = np.random.default_rng(0)
    n, d = 4, 9
    x = generator.normal(0, 1, (1, d)) + generator.normal(0, 0.3, (n, d))
    mean = x.mean()
    documents, seeds = x.mean(axis=0), x.mean(axis=1, keepdims=True)
    ms_documents = n * ((documents - mean) ** 2).sum() / (d - 1)
    ms_both = ((x - documents - seeds + mean) ** 2).sum() / ((n - 1) * (d - 1))
    found = document_source(7 * x, np.full((n, d), 7.0))
    # A single observation's error is d / (d - 1) of what is left without a document.
    assert found.se**2 == pytest.approx((ms_documents - ms_both) / (n * d), rel=1e-9)
    assert found.df == pytest.approx(d - 1)


def test_it_is_a_jackknife_over_documents() -> None:
    generator = np.random.default_rng(1)
    counts = np.tile(generator.integers(5, 500, 12), (3, 1)).astype(float)
    losses = np.tile(generator.normal(0.1, 0.3, 12), (3, 1)) * counts
    ratio = losses[0].sum() / counts[0].sum()
    without = [np.delete(losses[0], i).sum() / np.delete(counts[0], i).sum() for i in range(12)]
    jackknife = 11 / 12 * sum((one - ratio) ** 2 for one in without)
    assert document_source(losses, counts).se == pytest.approx(jackknife**0.5, rel=1e-12)


def test_what_is_of_the_seeds_is_not_counted_again() -> None:
    """Seeds that differ document by document, and documents that do not differ."""
    x = np.random.default_rng(2).normal(0, 1, (5, 40, 200))
    shares = [document_source(one, np.ones_like(one)).se for one in np.moveaxis(x, 1, 0)]
    assert np.mean(np.square(shares)) < 0.3 / (5 * 200)  # of s^2 / (n D); half of them are zero
    assert min(shares) == 0.0


def test_effective_number() -> None:
    assert effective_number(np.array([3.0, 3.0, 3.0])) == pytest.approx(3)
    assert effective_number(np.array([1.0, 1.0, 8.0])) == pytest.approx(100 / 66)


CASES = [
    *(Case(n, largest) for n in (10, 20, 60) for largest in (0.0, 0.43)),
    Case(26, 0.43, 0.1, seeds=2.0),
    Case(5, both=1.0),
    Case(60, both=3.0, n_seeds=3),
]


@pytest.mark.parametrize("case", CASES)
def test_the_interval_over_seeds_and_documents_holds_the_truth(case: Case) -> None:
    repeats = 1500
    error = (0.95 * 0.05 / repeats) ** 0.5
    found = simulate(case, repeats)
    assert found.covered >= 0.94 - 2 * error
    if not case.seeds and not case.both:
        assert found.rows < 0.9


@pytest.mark.thorough
@pytest.mark.parametrize("icc", [0.05, 0.1])
@pytest.mark.parametrize("n_documents", [3, 5, 10, 20, 26, 60])
@pytest.mark.parametrize("largest", [0.0, 0.43, 0.55])
@pytest.mark.parametrize(("seeds", "both"), [(0.0, 0.0), (2.0, 0.0), (0.5, 1.0), (0.5, 3.0)])
def test_it_does_for_all_shapes_of_a_test_text(
    icc: float, n_documents: int, largest: float, seeds: float, both: float
) -> None:
    case = Case(n_documents, largest, icc, seeds=seeds, both=both)
    if effective_number(lengths(case)) < FEWEST:
        pytest.skip("too few for an interval")
    assert simulate(case).covered >= 0.94 - (0.94 * 0.06 / REPEATS) ** 0.5


def documents(seed: int, shift: float, n: int = 8, rows: int = 3, spread: float = 0.3) -> list:
    """(loss, count, document) of rows of 50 targets; documents differ from one another."""
    generator = np.random.default_rng(7)
    own = generator.normal(0, spread, n)
    of_run = np.random.default_rng(seed).normal(0, 0.002)
    each = 2.0 + shift * (1 + own) + of_run
    return [(50 * loss, 50, d) for d, loss in enumerate(each) for _ in range(rows)]


def mean(rows: list) -> float:
    return sum(loss for loss, *_ in rows) / sum(count for _, count, *_ in rows)


def report_of(folder: Path, change: Any = lambda rows, norm, seed: rows, **kept: Any) -> Report:
    """Five seeds of rmsnorm and layernorm, each .1 better or worse by document."""
    for norm, shift in (("rmsnorm", 0.0), ("layernorm", -0.1)):
        for seed in range(1, 6):
            rows = documents(seed + 10 * (norm == "layernorm"), shift, **kept)
            changed = change(rows, norm, seed)
            more = {} if changed is None else {"losses": changed}
            make_run(folder / f"{norm}{seed}", seed=seed, loss=mean(rows), norm=norm, **more)
    return build_report([folder], Wanted(baseline="norm=rmsnorm"))


def test_the_interval_of_a_report_is_that_of_seeds_and_documents(tmp_path: Path) -> None:
    report = report_of(tmp_path)
    effect = report.variants[1].effect
    assert set(effect.noise) == {"seeds", "documents"}
    assert effect.noise["documents"] > 3 * effect.noise["seeds"]
    assert effect.low < effect.seeds_low < effect.seeds_high < effect.high
    own = np.random.default_rng(7).normal(0, 0.3, 8)
    assert effect.noise["documents"] == pytest.approx(0.1 * own.std(ddof=1) / 8**0.5, rel=0.02)
    found = json.loads(report.to_json())["variants"][1]
    assert found["other_text"] == {"documents": 8, "effective": 8.0, "missing": ""}
    assert found["effect"]["noise"] == effect.noise
    assert any("other text of this kind (8 documents)" in s for s in scope(report))
    assert "P(better)" in markdown(report)


def test_where_the_text_is_the_larger_part_more_seeds_are_not_advised(tmp_path: Path) -> None:
    report = report_of(tmp_path, spread=3.0)
    assert report.variants[1].verdict == "unresolved"
    assert report.variants[1].effect.seeds_high < -report.margin.absolute  # alone, it were better
    (advice,) = [s for s in scope(report) if "More seeds" in s]
    assert "layernorm: the test text (8 documents)" in advice


def cut(rows: list, norm: str, seed: int) -> list:
    """The layernorm's last row is of the document before."""
    return [*rows[:-1], (*rows[-1][:2], rows[-1][2] - 1)] if norm == "layernorm" else rows


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda rows, *_: [row[:2] for row in rows], "of an earlier version"),
        (lambda rows, *_: None, "runs without document_losses.npy"),
        (lambda rows, *_: [(*row[:2], -1) for row in rows], "does not tell which document"),
        (lambda rows, *_: [(row[0], row[1] + 1, row[2]) for row in rows], "does not fit test/loss"),
        (lambda rows, *_: [(*row[:2], 0) for row in rows], "is one document"),
        (lambda rows, *_: [(*row[:2], row[2] > 3) for row in rows], "too few test documents (2,"),
        (cut, "others than the baseline's, or cut otherwise"),
    ],
)
def test_no_row_is_taken_for_a_document(tmp_path: Path, change: Any, why: str) -> None:
    report = report_of(tmp_path, change)
    effect = report.variants[1].effect
    assert set(effect.noise) == {"seeds"}
    assert (effect.low, effect.high) == (effect.seeds_low, effect.seeds_high)
    assert why in report.variants[1].other_text.missing
    (said,) = [s for s in scope(report) if "not for other text" in s]
    assert why in said


def test_another_metric_has_no_documents(tmp_path: Path) -> None:
    report_of(tmp_path)
    report = build_report([tmp_path], Wanted(baseline="norm=rmsnorm", metric="val/loss"))
    assert set(report.variants[1].effect.noise) == {"seeds"}
    assert any("val/loss is not recorded" in sentence for sentence in scope(report))


def leave_items(run: Path, right: list[float], items: str, value: float | None = None) -> None:
    """What `evaluate --tasks` leaves in a run folder."""
    place = run / "evaluations" / "split=test,tasks=sat.json"
    (place.parent / "sat").mkdir(parents=True)
    fields = [("loss", "f8"), ("count", "i8"), ("document", "i8")]
    rows = np.array([(score, 1, i) for i, score in enumerate(right)], dtype=fields)
    np.save(place.parent / "sat" / "acc.npy", rows)
    content = {
        "schema": 1,
        "split": "test",
        "checkpoint": "best",
        "overrides": ["tasks=sat"],
        "metrics": {"test/acc": sum(right) / len(right) if value is None else value},
        "item_scores": {"test/acc": "sat/acc.npy"},
        "data": {"sha256": items},
    }
    place.write_text(json.dumps(content), encoding="utf-8")


def right_items(norm: str, seed: int) -> list[float]:
    """layernorm is right in the last 30 of 40 items, rmsnorm in the last 16; and seed s in item s.

    But layernorm with seed 5 is not.
    """
    first = 24 if norm == "rmsnorm" else 10
    own = seed if (norm, seed) != ("layernorm", 5) else None
    return [float(i >= first or i == own) for i in range(40)]


def items_report(folder: Path, items: Any = lambda norm, seed: "a", **value: float) -> Report:
    """Five seeds of both; items as `right_items` has them."""
    report_of(folder)
    for norm in ("rmsnorm", "layernorm"):
        for seed in range(1, 6):
            right = right_items(norm, seed)
            leave_items(folder / f"{norm}{seed}", right, items(norm, seed), **value)
    wanted = Wanted(baseline="norm=rmsnorm", metric="eval[tasks=sat]/acc")
    return build_report([folder], wanted)


def test_the_items_of_a_task_are_paired_by_number_and_seed(tmp_path: Path) -> None:
    """(mean square of items - mean square of both) / (n D) of the differences, seed by seed."""
    report = items_report(tmp_path)
    x = np.array(
        [np.subtract(right_items("layernorm", s), right_items("rmsnorm", s)) for s in range(1, 6)]
    )
    effect = report.variants[1].effect
    assert x.sum(axis=1).tolist() == [14, 14, 14, 14, 13]  # each seed's own item cancels
    assert effect.delta == pytest.approx(x.mean())
    assert effect.noise["seeds"] == pytest.approx(x.mean(axis=1).std(ddof=1) / 5**0.5)
    items, seeds = x.mean(axis=0), x.mean(axis=1, keepdims=True)
    of_items = 5 * ((items - x.mean()) ** 2).sum() / 39
    of_both = ((x - items - seeds + x.mean()) ** 2).sum() / (4 * 39)
    assert effect.noise["documents"] == pytest.approx(((of_items - of_both) / 200) ** 0.5)
    assert report.variants[1].other_text.documents == 40


@pytest.mark.parametrize(
    ("items", "value", "why"),
    [
        (lambda norm, seed: norm, {}, "runs were measured on different items"),
        (lambda norm, seed: "a", {"value": 0.5}, "acc.npy does not fit eval[tasks=sat]/acc"),
    ],
)
def test_other_items_are_not_paired(
    tmp_path: Path, items: Any, value: dict[str, float], why: str
) -> None:
    report = items_report(tmp_path, items, **value)
    assert report.variants[1].other_text.missing == why

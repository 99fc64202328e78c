"""Each variant is paired with the baseline on the seeds that those two share, and on no fewer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lightning_transformer.compare.report.render.numbers import sentences, verdict
from lightning_transformer.compare.report.report import Report
from lightning_transformer.compare.report.write import Wanted, build_report
from tests.unit.compare.report.made_runs import make_run

CRASH = "OSError: no space left on device"


def made(folder: Path, losses: dict[str, dict[int, float | None]], **changed) -> Report:
    """A report of norms with losses by seed; None = the run diverged, nan = it crashed."""
    for norm, row in losses.items():
        for seed, loss in row.items():
            place = folder / f"{norm}{seed}"
            if loss is not None and np.isnan(loss):
                make_run(place, seed=seed, loss=None, norm=norm, error=CRASH, **changed)
            else:
                make_run(place, seed=seed, loss=loss, norm=norm, **changed)
    return build_report([folder], Wanted(baseline="norm=base"))


def losses(mean: float, seeds: range, noise: float = 0.01) -> dict[int, float | None]:
    """Losses that share most of their seed's noise; an own draw for each mean."""
    own = np.random.default_rng(round(1000 * mean))
    return {s: mean + 0.1 * np.sin(s) + noise * own.normal() for s in seeds}


def row_of(report: Report, norm: str):
    (row,) = [row for row in report.variants if row.variant == f"norm={norm}"]
    return row


def paired(ours: dict[int, float | None], base: dict[int, float | None]) -> float:
    shared = sorted(s for s in set(ours) & set(base) if np.isfinite([ours[s], base[s]]).all())
    return stats.ttest_rel([ours[s] for s in shared], [base[s] for s in shared]).pvalue


def test_other_seeds_of_a_third_variant_cost_nobody_anything(tmp_path):
    base, one = losses(2.0, range(1, 6)), losses(1.9, range(1, 6))
    report = made(tmp_path, {"base": base, "v1": one, "v2": losses(2.0, range(6, 11))})
    assert row_of(report, "v1").verdict == "better"
    assert row_of(report, "v1").effect.p == pytest.approx(paired(one, base), rel=1e-9)
    assert row_of(report, "v1").effect.p_holm == row_of(report, "v1").effect.p
    assert row_of(report, "v2").verdict == "no shared seed"
    assert row_of(report, "v2").states["ok"] == 5
    text = " ".join(sentences(report))
    assert "v1: better than base by more than 0.5 % (5 seeds)." in text
    assert "v2: not tested (no seed in common with base)." in text
    assert "diverg" not in text


def test_a_variant_with_one_seed_does_not_silence_the_others(tmp_path):
    base, one = losses(2.0, range(1, 6)), losses(1.9, range(1, 6))
    report = made(tmp_path, {"base": base, "v1": one, "v2": losses(2.01, range(1, 2))})
    assert (row_of(report, "v1").verdict, row_of(report, "v1").effect.n) == ("better", 5)
    assert row_of(report, "v1").effect.p_holm == pytest.approx(paired(one, base), rel=1e-9)
    assert row_of(report, "v2").verdict == "no inference"


def test_crashed_runs_cost_their_own_variant_two_pairs(tmp_path):
    base, one = losses(2.0, range(1, 6)), losses(1.9, range(1, 6))
    two = {**losses(1.95, range(1, 6)), 2: float("nan"), 4: float("nan")}
    report = made(tmp_path, {"base": base, "v1": one, "v2": two})
    assert (row_of(report, "v1").effect.n, row_of(report, "v2").effect.n) == (5, 3)
    assert row_of(report, "v2").states["failed"] == 2
    assert row_of(report, "v2").effect.p == pytest.approx(paired(two, base), rel=1e-9)
    assert "diverg" not in " ".join(sentences(report))
    assert report.blocks.dropped[0].because == ["norm=v2: failed"]


def test_one_diverged_run_of_the_baseline_does_not_silence_the_table(tmp_path):
    base = {**losses(2.0, range(1, 6)), 3: None}
    report = made(tmp_path, {"base": base, "v1": losses(1.9, range(1, 6))})
    row = row_of(report, "v1")
    assert (row.verdict, row.effect.n, row.divergence.verdict) == ("better", 4, "unresolved")
    assert row.divergence.p_holm == pytest.approx(1.0)
    assert "diverg" not in " ".join(sentences(report))


def test_a_seed_that_diverges_for_all_is_no_difference(tmp_path):
    rows = {n: {**losses(m, range(1, 6)), 3: None} for n, m in (("base", 2.0), ("v1", 1.9))}
    row = row_of(made(tmp_path, rows), "v1")
    assert (row.verdict, row.divergence.p_holm) == ("better", 1.0)
    assert verdict(row) == "better; diverged 1 of 5"


def test_one_diverged_run_of_five_is_no_verdict_of_divergence(tmp_path):
    report = made(
        tmp_path,
        {"base": losses(2.0, range(1, 6)), "v1": {**losses(1.9, range(1, 6)), 1: None}},
    )
    row = row_of(report, "v1")
    assert (row.verdict, row.effect.n) == ("better", 4)
    assert row.divergence.verdict == "unresolved"


@pytest.mark.parametrize(
    ("n", "n_diverged", "said"),
    [
        (5, 5, "diverges more"),  # p .008
        (5, 4, "diverges more"),  # p .048
        (5, 3, "withheld"),  # p .17; two pairs are left
        (3, 3, "diverged"),  # p .1: no count of three could reach 5 %
    ],
)
def test_divergence_has_a_verdict_of_its_own(tmp_path, n, n_diverged, said):
    seeds = range(1, n + 1)
    bad = {**losses(2.01, seeds), **dict.fromkeys(range(1, n_diverged + 1))}
    report = made(tmp_path, {"base": losses(2.0, seeds), "v1": bad})
    row = row_of(report, "v1")
    p = stats.fisher_exact([[n_diverged, n - n_diverged], [0, n]])[1]
    assert row.divergence.p_holm == pytest.approx(p)
    assert row.verdict == said
    assert ("too few runs to tell" in verdict(row)) == (n == 3)
    if said == "diverges more":
        assert verdict(row).startswith(f"diverged more often {n_diverged} of {n} (p ")


def test_after_holm_four_of_five_are_not_enough(tmp_path):
    bad = {**losses(2.01, range(1, 6)), **dict.fromkeys(range(1, 5))}
    rows = {"base": losses(2.0, range(1, 6)), "v1": bad, "v2": bad}
    report = made(tmp_path, rows)
    assert row_of(report, "v1").divergence.verdict == "unresolved"
    assert row_of(report, "v1").verdict == "no inference"


def test_a_baseline_that_diverged_is_no_fault_of_the_variants(tmp_path):
    rows = {"base": dict.fromkeys(range(1, 6)), "v1": losses(2.0, range(1, 6))}
    row = row_of(made(tmp_path, rows), "v1")
    assert row.verdict == "diverges less"
    rows = {"base": dict.fromkeys(range(1, 4)), "v1": losses(2.0, range(1, 4))}
    row = row_of(made(tmp_path / "few", rows), "v1")
    assert row.verdict == "baseline diverged"


def test_over_fitting_is_no_divergence_whatever_was_logged(tmp_path):
    """Test loss 6.3 where guessing has 2.08, training loss .1: whatever of it was logged."""
    for name, training, last in (
        ("all", [2.08, 1.0, 0.5, 0.1], None), ("last", [0.1], None), ("long", [9.0], 0.1)
    ):  # fmt: skip
        for norm, mean in (("base", 6.3), ("v1", 6.0)):
            for seed, loss in losses(mean, range(1, 6)).items():
                make_run(
                    tmp_path / name / f"{norm}{seed}", seed=seed, loss=loss, norm=norm,
                    training=training, chance={"val/loss": 2.08, "test/loss": 2.08},
                    last_train_loss=last,
                )  # fmt: skip
        for metric in (None, "val/loss"):
            report = build_report([tmp_path / name], Wanted(baseline="norm=base", metric=metric))
            assert report.variants[1].verdict == "better"
            assert report.variants[1].states["ok"] == 5


def test_above_guessing_on_the_training_text_too_is_divergence(tmp_path):
    for norm, mean in (("base", 2.0), ("v1", 6.3)):
        for seed, loss in losses(mean, range(1, 6)).items():
            make_run(
                tmp_path / f"{norm}{seed}", seed=seed, loss=loss, norm=norm,
                training=[5.0, loss], chance={"test/loss": 5.55},
                metrics={"test/loss": loss, "test/accuracy": 0.1 + seed / 100},
            )  # fmt: skip
    for metric in (None, "test/accuracy"):
        report = build_report([tmp_path], Wanted(baseline="norm=base", metric=metric))
        assert report.variants[1].verdict == "diverges more"
        assert report.variants[1].divergence.n == 5
    (rule,) = [fact.value for fact in report.facts if fact.name == "diverged"]
    assert rule.endswith("a tenth above that of guessing, 5.55")


def test_a_run_that_has_learned_nothing_has_not_diverged(tmp_path):
    """A coin: .6931 nats, and a model that tosses one is now above and now below."""
    nothing = {seed: 0.70 + seed / 1000 for seed in range(1, 6)}
    rows = {"base": losses(0.3, range(1, 6), 1e-3), "v1": nothing}
    report = made(tmp_path, rows, training=[0.71], chance={"test/loss": float(np.log(2))})
    assert row_of(report, "v1").states == row_of(report, "base").states
    assert row_of(report, "v1").verdict == "worse"


def test_runs_without_a_level_of_guessing_diverge_by_values_alone_and_the_report_says_so(tmp_path):
    report = made(tmp_path, {"base": losses(2.0, range(1, 4)), "v1": losses(9.0, range(1, 4))})
    assert row_of(report, "v1").states["diverged"] == 0
    (rule,) = [fact.value for fact in report.facts if fact.name == "diverged"]
    assert "do not record the loss of guessing" in rule


def test_the_loss_of_the_first_step_in_the_ledger_is_no_level(tmp_path):
    """A comparison with lr=sweep3 wrote down the loss at the start; runs above it over-fitted."""
    from lightning_transformer.compare.report.comparison import Comparison, RateSearch

    lr = RateSearch(policy="sweep3", loss_at_init={"norm=base": 2.08, "norm=v1": 2.08})
    comparison = Comparison(name="x", by=["norm"], baseline={"norm": "base"}, lr=lr)
    tmp_path.mkdir(exist_ok=True)
    comparison.write(tmp_path)
    rows = {"base": losses(6.3, range(1, 6)), "v1": losses(6.0, range(1, 6))}
    report = made(tmp_path, rows, training=[0.1], chance={"test/loss": 2.08})
    assert row_of(report, "v1").states["ok"] == 5


def test_a_key_that_changed_nothing_is_called_that(tmp_path):
    base = losses(2.0, range(1, 6))
    report = made(tmp_path, {"base": base, "v1": base, "v2": losses(1.9, range(1, 6))})
    row = row_of(report, "v1")
    assert row.verdict == "unchanged"
    assert row.effect.p is None
    assert verdict(row) == "changed nothing, bit by bit"
    assert row_of(report, "v2").effect.p_holm == row_of(report, "v2").effect.p


def test_one_step_of_a_discrete_metric_in_all_seeds_is_not_certain(tmp_path):
    for norm, more in (("base", 0), ("v1", 1)):
        for seed in (1, 2, 3):
            metrics = {"test/loss": 2.0 + seed / 7 + more / 9, "test/accuracy": (seed + more) / 64}
            make_run(tmp_path / f"{norm}{seed}", seed=seed, loss=2.0, norm=norm, metrics=metrics)
    report = build_report([tmp_path], Wanted(baseline="norm=base", metric="test/accuracy"))
    row = row_of(report, "v1")
    assert (row.verdict, row.effect.p, row.effect.low) == ("no spread", None, None)
    assert verdict(row) == "not tested (the same difference in all seeds)"


def test_interactions_need_only_the_seeds_that_the_four_share(tmp_path):
    y = {}
    for norm in ("a", "b"):
        for width in ("1", "2"):
            for seed in range(1, 6 if (norm, width) != ("b", "2") else 4):
                y[norm, width, seed] = (
                    2.0 + 0.1 * (norm == "b") + 0.2 * (width == "2") + np.sin(seed * len(y)) / 50
                )
                make_run(
                    tmp_path / f"{norm}{width}{seed}", seed=seed, loss=y[norm, width, seed],
                    norm=norm, overrides=[f"norm={norm}", f"model.width=[{width},1]"],
                )  # fmt: skip
    report = build_report([tmp_path])
    (found,) = report.factors.interactions  # values with a comma are values
    d = [y["b", "2", s] - y["b", "1", s] - y["a", "2", s] + y["a", "1", s] for s in range(1, 4)]
    assert found.delta == pytest.approx(np.mean(d), rel=1e-9)
    assert found.p == pytest.approx(stats.ttest_1samp(d, 0).pvalue, rel=1e-9)
    assert report.variants[0].short == "a, [1,1]"


def test_three_swept_keys_have_no_interactions_and_the_report_says_why(tmp_path):
    for i, (norm, width, depth) in enumerate((a, b, c) for a in "xy" for b in "12" for c in "34"):
        make_run(
            tmp_path / str(i), seed=1, loss=2.0 + i, norm=norm,
            overrides=[f"norm={norm}", f"width={width}", f"depth={depth}"],
        )  # fmt: skip
    report = build_report([tmp_path])
    assert report.factors is None
    (why,) = [fact.value for fact in report.facts if fact.name == "interactions"]
    assert why == "not computed: of two swept keys, and here are 3"


def test_names_with_commas_stand_apart_in_a_sentence(tmp_path):
    for i, (norm, act) in enumerate((a, b) for a in "xyz" for b in "rs"):
        for seed in range(1, 6):
            loss = 2.0 + 0.5 * i + 0.01 * np.sin(seed * (i + 1))
            make_run(
                tmp_path / f"{i},{seed}", seed=seed, loss=loss, norm=norm,
                overrides=[f"norm={norm}", f"activation={act}"],
            )  # fmt: skip
    report = build_report([tmp_path], Wanted(baseline="norm=x,activation=r"))
    (text,) = sentences(report)
    assert text.startswith("x, s; y, r; y, s; z, r; and z, s: worse than x, r by more than")


@pytest.mark.parametrize("metric", ["test/recall_loss", "test/error_recall"])
def test_a_metric_with_words_of_both_kinds_needs_its_direction(tmp_path, metric):
    for norm in ("base", "v1"):
        for seed in (1, 2, 3):
            make_run(
                tmp_path / f"{norm}{seed}", seed=seed, loss=2.0, norm=norm, metrics={metric: seed}
            )
    with pytest.raises(ValueError, match=r"needs the option `better`: lower or higher$"):
        build_report([tmp_path], Wanted(metric=metric))
    assert build_report([tmp_path], Wanted(metric=metric, better="lower")).better == "lower"


def test_the_margin_says_where_the_noise_does_not_allow_it(tmp_path):
    noisy = made(
        tmp_path / "noisy",
        {"base": losses(2.0, range(1, 6), 0.1), "v1": losses(2.001, range(1, 6), 0.1)},
    )
    assert noisy.variants[1].verdict == "unresolved"
    assert noisy.margin.within_percent > 0.5
    assert sentences(noisy)[-1].startswith("Equality within ±0.5 % is out of reach")
    tiny = made(
        tmp_path / "tiny",
        {"base": losses(2.0, range(1, 6), 1e-4), "v1": losses(2.001, range(1, 6), 1e-4)},
    )
    assert tiny.variants[1].verdict in ("equal", "smaller than the margin")
    assert tiny.margin.within_percent < 0.5

"""Statistics against scipy, against loops in plain Python, and against what is known by hand."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from lightning_transformer.compare.report.choice.page import lr_sensitivity
from lightning_transformer.compare.report.curves import kendall_tau
from lightning_transformer.compare.report.inference import statistics
from lightning_transformer.compare.report.inference.noise import Student
from lightning_transformer.compare.report.inference.statistics import (
    divergence_p,
    effects,
    holm,
    paired_effects,
    paired_p,
    probability_better,
)

MARGIN = 0.01
EXACT = 1e-12


def table(k: int = 4, n: int = 5, seed: int = 0) -> np.ndarray:
    """Variants that differ, seeds that all share, and noise of one size."""
    generator = np.random.default_rng(seed)
    noise = generator.normal(0, 0.02, (k, n))
    return 2.0 + 0.05 * np.arange(k)[:, None] + generator.normal(0, 0.1, n) + noise


def of_seeds(sd: float, n: int) -> Student:
    return Student("seeds", sd / math.sqrt(n), n - 1)


def test_it_does_without_torch_and_the_slow_part_of_scipy() -> None:
    code = (
        "import sys, lightning_transformer.compare.report.inference.statistics as s; "
        "s.effects([[1, 2, 3], [1, 2, 4]], margin=0.1); "
        "assert not {'torch', 'scipy.stats', 'lightning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_two_rows_are_a_paired_t_test() -> None:
    y = table(k=2)
    (effect,) = effects(y, margin=MARGIN)
    wanted = stats.ttest_rel(y[1], y[0])
    interval = wanted.confidence_interval(0.95)
    assert effect.method == "paired"
    assert effect.p == pytest.approx(wanted.pvalue, abs=EXACT)
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high), abs=EXACT)
    assert paired_p(y[1] - y[0]) == pytest.approx(wanted.pvalue, abs=EXACT)


def test_each_row_is_a_paired_t_test_of_its_own() -> None:
    y = table(k=4, n=6)
    y[2] += np.random.default_rng(1).normal(0, 1.0, 6)  # the noise of one is not the others'
    for v, effect in enumerate(effects(y, margin=MARGIN), start=1):
        wanted = stats.ttest_rel(y[v], y[0])
        interval = wanted.confidence_interval(0.95)
        assert (effect.method, effect.df, effect.n) == ("paired", 5, 6)
        assert effect.p == pytest.approx(wanted.pvalue, abs=EXACT)
        assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_holm_by_hand() -> None:
    """0.01 x 4, 0.02 x 3, 0.03 x 2 < 0.06, 0.4."""
    assert holm([0.03, 0.01, 0.4, 0.02]) == pytest.approx([0.06, 0.04, 0.4, 0.06])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])


def test_verdicts() -> None:
    base = np.array([2.00, 2.10, 1.90, 2.05, 1.95])
    wiggle = np.array([0.001, -0.001, 0.0005, -0.0005, 0.0])
    y = np.stack([base, base - 0.1 + wiggle, base + 0.1 - wiggle, base + 0.001 + 2 * wiggle])
    assert [e.verdict for e in effects(y, margin=MARGIN)] == ["better", "worse", "equal"]
    higher = effects(y, margin=MARGIN, lower_is_better=False)
    assert [e.verdict for e in higher] == ["worse", "better", "equal"]
    # Surely there, and of no interest.
    assert effects(y, margin=0.2)[0].verdict == "smaller than the margin"
    # Surely there, and not surely of interest: the interval holds the margin.
    (edge,) = effects(y[:2], margin=0.1)
    assert edge.p_holm < 1e-4
    assert edge.low < -0.1 < edge.high
    assert edge.verdict == "unresolved"
    noisy = effects(np.stack([base, base[::-1]]), margin=MARGIN)[0]
    assert noisy.verdict == "unresolved"
    assert noisy.detectable is not None
    assert noisy.detectable > MARGIN + abs(noisy.delta)


def test_few_seeds_get_no_verdict() -> None:
    (one,) = effects([[1.0], [0.5]], margin=MARGIN)
    assert (one.verdict, one.delta, one.method) == ("no inference", -0.5, "none")
    assert math.isnan(one.p)
    (two,) = effects([[1.0, 1.1], [0.5, 0.61]], margin=MARGIN)
    assert two.verdict == "withheld"
    assert two.high < 0


def test_the_same_difference_in_all_seeds_is_no_certainty() -> None:
    """Without noise there is nothing to judge by: no p of 0, no interval of width 0."""
    y = np.tile(table(k=1), (3, 1))
    y[2] += np.random.default_rng(1).normal(0, 1.0, y.shape[1])
    same, noisy = effects(y, margin=MARGIN)
    assert (same.delta, same.se, same.verdict) == (0.0, 0.0, "no spread")
    assert math.isnan(same.p)
    assert noisy.verdict == "unresolved"
    assert noisy.p_holm == noisy.p  # what is not tested costs nothing
    # One more of 63 examples right in each seed; accuracies are rounded to single precision.
    shares = np.float32([[30, 25, 41], [31, 26, 42]]) / np.float32(63)
    (step,) = effects(shares, margin=0.001, lower_is_better=False)
    assert step.verdict == "no spread"
    assert math.isnan(step.p)
    assert math.isnan(step.low)
    assert math.isnan(paired_p([0.25, 0.25, 0.25]))


def test_each_variant_has_its_own_seeds_and_holm_is_over_those_that_can_be_tested() -> None:
    generator = np.random.default_rng(0)
    d = [generator.normal(0.1, 0.05, n) for n in (5, 8, 2, 1)]
    found = paired_effects(d, margin=0.0)
    alone = [stats.ttest_1samp(x, 0.0).pvalue for x in d[:3]]
    assert [effect.n for effect in found] == [5, 8, 2, 1]
    assert [effect.p for effect in found[:3]] == pytest.approx(alone, rel=1e-12)
    assert [effect.p_holm for effect in found[:2]] == pytest.approx(
        holm(alone[:2]).tolist(), rel=1e-12
    )
    assert [effect.verdict for effect in found[2:]] == ["withheld", "no inference"]


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([1.0, 2.0], "y of shape"),
        ([[1.0, 2.0]], "y of shape"),
        ([[1.0, math.nan], [1.0, 2.0]], "y must be finite"),
    ],
)
def test_what_is_no_table_is_refused(y: list, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        effects(y, margin=MARGIN)
    for margin in (-1, math.nan):
        with pytest.raises(ValueError, match=rf"^margin={margin} "):
            effects(table(), margin=margin)


def test_equivalence_is_two_one_sided_tests_after_holm() -> None:
    d = np.array([[0.012, -0.004, 0.006, 0.001, 0.003], [0.011, -0.002, 0.004, 0.002, 0.001]])
    for margin in (0.005, 0.0075, 0.01, 0.012, 0.02):
        worst = [
            max(
                stats.ttest_1samp(x, -margin, alternative="greater").pvalue,
                stats.ttest_1samp(x, margin, alternative="less").pvalue,
            )
            for x in d
        ]
        found = [effect.verdict == "equal" for effect in paired_effects(d, margin=margin)]
        assert found == [p < 0.05 for p in holm(worst)], margin


def test_detectable_effects_are_those_of_the_method() -> None:
    """In standard deviations of the difference, as simulated before this was written."""
    known = {2: 11.6, 3: 3.26, 5: 1.68, 8: 1.15, 10: 1.00}
    for n, effect in known.items():
        found = of_seeds(1.0, n).detectable(0.05)
        bar = stats.t.ppf(0.975, n - 1)
        power = stats.nct.sf(bar, n - 1, found * math.sqrt(n))
        assert power == pytest.approx(0.8, abs=1e-6), n
        assert found == pytest.approx(effect, rel=0.01), n
    # Of five comparisons, the strictest of Holm's: 2.63 standard deviations instead of 1.68.
    assert of_seeds(1.0, 5).detectable(0.05 / 5) == pytest.approx(2.63, abs=0.005)


def test_the_detectable_difference_is_called_better_four_times_in_five() -> None:
    """With the margin and Holm in it, and so is the smallest margin for equality: 5 seeds."""
    generator, n, margin, repeats = np.random.default_rng(0), 5, 0.5, 2000
    for level, others in ((0.05, 0), (0.05 / 3, 2)):
        true = margin + of_seeds(1.0, n).detectable(level)
        d = generator.standard_normal((repeats, 1 + others, n))
        d[:, 0] += true
        found = [paired_effects(x, margin=margin)[0] for x in d]
        share = np.mean([effect.verdict == "worse" for effect in found])
        assert 0.8 - 0.03 <= share <= 0.85  # three standard errors; Holm may do better
        sd = found[0].se * math.sqrt(n)
        assert found[0].detectable == pytest.approx(
            margin + of_seeds(sd, n).detectable(level), rel=1e-9
        )
    wide = of_seeds(1.0, n).equal_within(0.05)
    same = generator.standard_normal((repeats, 1, n))
    said = ("equal", "smaller than the margin")  # of which one in twenty
    share = np.mean([paired_effects(x, margin=wide)[0].verdict in said for x in same])
    assert 0.8 - 0.03 <= share <= 0.83


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("truth", [0.0, 0.7])
def test_the_next_seed_is_where_it_is_expected(n: int, truth: float) -> None:
    """The predictive distribution at the next difference is uniform, whatever the truth."""
    d = np.random.default_rng(n).normal(truth, 1.3, (4000, n + 1))
    gain, sd = d[:, :n].mean(axis=1), d[:, :n].std(axis=1, ddof=1)
    below = [
        probability_better(float(g - new), float(s / math.sqrt(n)), n)
        for g, s, new in zip(gain, sd, d[:, n], strict=True)
    ]
    assert stats.kstest(below, "uniform").pvalue > 0.01


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_better_seed_is_as_frequent_as_said_where_variants_differ_by_more_than_noise(
    n: int,
) -> None:
    """True differences with twice the spread of a seed; the docs have smaller ones as well."""
    generator = np.random.default_rng(n)
    d = generator.normal(0, 2.0, (100000, 1)) + generator.normal(0, 1.0, (100000, n + 1))
    said = probability_of(d[:, :n])
    for low, high in ((0.05, 0.2), (0.3, 0.7), (0.8, 0.95)):
        some = (low < said) & (said < high)
        assert np.mean(d[some, n] > 0) == pytest.approx(said[some].mean(), abs=0.04)


def probability_of(gains: np.ndarray) -> np.ndarray:
    """As the module says, by scipy's distribution."""
    n = gains.shape[1]
    sd = gains.std(axis=1, ddof=1)
    return stats.t.cdf(gains.mean(axis=1) / (sd * np.sqrt(1 + 1 / n)), n - 1)


def test_the_probability_of_a_better_seed_knows_what_better_is() -> None:
    d = [-0.3, -0.1, -0.4, 0.1]
    (lower,) = paired_effects([d], margin=0.0)
    (higher,) = paired_effects([d], margin=0.0, lower_is_better=False)
    assert lower.probability_better == pytest.approx(probability_of(-np.array([d]))[0])
    assert lower.probability_better + higher.probability_better == pytest.approx(1.0)
    assert paired_effects([[0.1]], margin=0.0)[0].probability_better is None
    assert paired_effects([[0.5, 0.5, 0.5]], margin=0.0)[0].probability_better is None


def test_divergence_is_fishers_exact_test() -> None:
    """Three of three against none of three: one of twenty tables on each side."""
    assert divergence_p(3, 3, 0, 3) == pytest.approx(0.1)
    assert divergence_p(1, 3, 1, 3) == 1.0
    assert divergence_p(4, 5, 1, 7) == pytest.approx(stats.fisher_exact([[4, 1], [1, 6]])[1])
    with pytest.raises(ValueError, match=r"^n_diverged=4 "):
        divergence_p(4, 3, 0, 3)


def test_kendall_by_hand() -> None:
    """Of six pairs one is crossed: (5 - 1) / 6."""
    assert kendall_tau([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(4 / 6)
    assert kendall_tau([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert math.isnan(kendall_tau([1, 1], [1, 2]))


def test_sensitivity_to_the_learning_rate_by_hand() -> None:
    """What diverged or ended above counts as the start, 4: (1 + 0 + 2 + 2) / 4 above the best."""
    losses = {1e-3: 3.0, 2e-3: 2.0, 4e-3: None, 8e-3: 9.0}
    assert lr_sensitivity(losses, 4.0) == pytest.approx((3 + 2 + 4 + 4) / 4 - 2)
    assert math.isnan(lr_sensitivity({1e-3: None, 2e-3: 9.0}, 4.0))
    with pytest.raises(ValueError, match=r"^losses_by_lr is empty"):
        lr_sensitivity({}, 4.0)


def test_all_that_is_public_is_documented() -> None:
    for name, thing in vars(statistics).items():
        if callable(thing) and getattr(thing, "__module__", "") == statistics.__name__:
            assert name.startswith("_") or thing.__doc__, name

"""Tables as they come: each variant with seeds of its own, against scipy and by simulation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lightning_transformer.compare.report.inference.statistics import paired_effects
from lightning_transformer.compare.report.write import Wanted, build_report
from tests.unit.compare.report.made_runs import make_run

NORMS = ("base", "v1", "v2", "v3")
SEEDS = range(1, 7)


def drawn(folder: Path, number: int) -> dict[str, dict[int, float]]:
    """Run folders of a table in which runs are missing or have crashed; losses of the others."""
    random = np.random.default_rng(number)
    found: dict[str, dict[int, float]] = {norm: {} for norm in NORMS}
    for seed in SEEDS:
        shared = random.normal(0, 0.02)
        for i, norm in enumerate(NORMS):
            loss = 2.0 + shared + random.normal(-0.02 * (i == 1), 0.01)
            state = random.choice(["ok", "crashed", "missing"], p=[0.75, 0.1, 0.15])
            if state == "ok":
                found[norm][seed] = loss
                make_run(folder / f"{norm}{seed}", seed=seed, loss=loss, norm=norm)
            elif state == "crashed":
                make_run(folder / f"{norm}{seed}", seed=seed, loss=None, norm=norm, error="killed")
    return found


def holm_of(p: list[float]) -> list[float]:
    """Holm's p by its definition: the largest of (m - j) p_(j) so far."""
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, worst = [0.0] * len(p), 0.0
    for j, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - j) * p[i]))
        adjusted[i] = worst
    return adjusted


@pytest.mark.parametrize("number", range(8))
def test_an_untidy_table_is_as_scipy_says(tmp_path: Path, number: int) -> None:
    y = drawn(tmp_path, number)
    report = build_report([tmp_path], Wanted(baseline="norm=base"))
    rows = {row.variant.partition("=")[2]: row for row in report.variants}
    margin = 0.005 * float(np.mean(list(y["base"].values())))
    tested, p, beyond = [], [], []
    for norm in NORMS[1:]:
        shared = sorted(set(y[norm]) & set(y["base"]))
        d = [y[norm][s] - y["base"][s] for s in shared]
        effect = rows[norm].effect
        if not d:
            assert effect is None
            continue
        assert effect is not None
        assert effect.n == len(d)
        assert effect.delta == pytest.approx(np.mean(d), rel=1e-9)
        if len(d) < 3:
            assert rows[norm].verdict in ("withheld", "no inference")
            continue
        tested.append(norm)
        p.append(float(stats.ttest_1samp(d, 0).pvalue))
        t = (abs(np.mean(d)) - margin) / stats.sem(d)
        beyond.append(min(1.0, 2 * float(stats.t.sf(t, len(d) - 1))))
    for norm, one, adjusted, outside in zip(tested, p, holm_of(p), holm_of(beyond), strict=True):
        effect = rows[norm].effect
        assert effect is not None
        assert effect.p == pytest.approx(one, rel=1e-9)
        assert effect.p_holm == pytest.approx(adjusted, rel=1e-9)
        assert (rows[norm].verdict in ("better", "worse")) == (outside < 0.05)


@pytest.mark.parametrize("k", [2, 4, 8])
def test_untidy_tables_err_as_seldom_as_tidy_ones(k: int) -> None:
    """Variants without a difference and with 2 to 8 seeds in common with the baseline."""
    random = np.random.default_rng(k)
    repeats, wrong, covered, n_intervals = 2000, 0, 0, 0
    for _ in range(repeats):
        base = random.standard_normal(8)
        d = [(random.standard_normal(8) - base)[: random.integers(2, 9)] for _ in range(k - 1)]
        found = [effect for effect in paired_effects(d, margin=0.0) if effect.n > 2]
        wrong += any(effect.verdict in ("better", "worse") for effect in found)
        covered += sum(effect.low <= 0.0 <= effect.high for effect in found)
        n_intervals += len(found)
    assert wrong / repeats <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)
    assert covered / n_intervals >= 0.94

"""From a design to the contents of its report."""

from collections.abc import Mapping, Sequence
from statistics import mean

import numpy as np

from lightning_transformer.compare.report import curves
from lightning_transformer.compare.report.contents import (
    SCHEMA,
    BaselineChoice,
    Blocks,
    DroppedSeed,
    Margin,
    finite,
)
from lightning_transformer.compare.report.design import Design
from lightning_transformer.compare.report.factors import factors, learning_rates, values_of
from lightning_transformer.compare.report.facts import facts, matched, run_rows, warnings_of
from lightning_transformer.compare.report.report import Report
from lightning_transformer.compare.report.statistics import Effect, effects
from lightning_transformer.compare.report.variants import (
    examples_that_differ,
    order,
    variant_row,
    with_verdicts,
)

MARGIN_PERCENT = 0.5


def analyse(design: Design, *, title: str, margin_percent: float = MARGIN_PERCENT,
            warnings: Sequence[str] = ()) -> Report:  # fmt: skip
    """The report of a design."""
    labels, seeds = design.labels, design.seeds
    states = {label: {s: design.state(label, s) for s in seeds} for label in labels}
    ok = {label: [s for s in seeds if states[label][s] == "ok"] for label in labels}
    clean = [v for v in labels if ok[v] and "diverged" not in states[v].values()]
    used = [s for s in seeds if all(s in ok[label] for label in clean)] if clean else []
    compared = dict.fromkeys(clean, used) if used else {}
    base_values = values_of(design, design.baseline, ok[design.baseline])
    margin = abs(mean(base_values)) * margin_percent / 100 if base_values else 0.0
    found = _effects(design, compared, margin)
    rows = with_verdicts([
        variant_row(design, label, states, found.get(label), compared.get(label, []))
        for label in labels
    ])  # fmt: skip
    rows[1:] = sorted(rows[1:], key=lambda row: order(row, design.lower_is_better))
    drawn = {row.variant: ok[row.variant] for row in rows if ok[row.variant]}
    ranked = {row.variant: compared[row.variant] for row in rows if row.variant in compared}
    runs = [design.cells[label][s] for label, some in drawn.items() for s in some]
    series = curves.series_of(runs)
    content = Report(
        schema=SCHEMA,
        title=title,
        stage=design.comparison.stage,
        metric=design.metric,
        better="lower" if design.lower_is_better else "higher",
        by=list(design.by),
        baseline=BaselineChoice(design.baseline, design.chosen),
        seeds=seeds,
        blocks=Blocks(used, _dropped(states, clean, used, seeds)),
        margin=Margin(margin_percent, margin),
        method=next((effect.method for effect in found.values()), "none"),
        warnings=[*warnings, *warnings_of(design, rows), *examples_that_differ(design, rows)],
        variants=rows,
        runs=run_rows(design, rows, states),
        facts=facts(design),
        matched=matched(design, rows),
        curves=None if series is None else curves.over_both_axes(design, drawn, series),
        ranks=None if series is None else curves.ranks(design, ranked, series),
        factors=factors(design, compared),
        learning_rates=learning_rates(design, rows),
        failures=design.comparison.failures,
    )
    checked: Report = finite(content)
    return checked


def _effects(design: Design, compared: Mapping[str, list[int]], margin: float) -> dict[str, Effect]:
    """Label to effect, of those that were compared seed by seed."""
    others = [label for label in compared if label != design.baseline]
    if design.baseline not in compared or not others:
        return {}
    y = np.array([values_of(design, v, compared[v]) for v in (design.baseline, *others)])
    results = effects(y, margin=margin, lower_is_better=design.lower_is_better)
    return dict(zip(others, results, strict=True))


def _dropped(
    states: Mapping[str, Mapping[int, str]], clean: Sequence[str], used: Sequence[int],
    seeds: Sequence[int],
) -> list[DroppedSeed]:  # fmt: skip
    """Seeds that some variant has not finished: left out for all."""
    return [
        DroppedSeed(seed, [f"{v}: {states[v][seed]}" for v in clean if states[v][seed] != "ok"])
        for seed in seeds
        if seed not in used and any(states[v][seed] == "ok" for v in clean)
    ]

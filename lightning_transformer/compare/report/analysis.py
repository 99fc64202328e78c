"""From a design to the contents of its report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean

from lightning_transformer.compare.report import curves
from lightning_transformer.compare.report.choice.page import (
    choice_sources,
    choice_warnings,
    learning_rates,
)
from lightning_transformer.compare.report.contents import (
    SCHEMA,
    BaselineChoice,
    Blocks,
    DroppedSeed,
    Margin,
    VariantRow,
    finite,
)
from lightning_transformer.compare.report.design import Design
from lightning_transformer.compare.report.factors import factors, values_of
from lightning_transformer.compare.report.facts import facts, matched, run_rows, warnings_of
from lightning_transformer.compare.report.fairness.targets import incomparable, mixed_devices
from lightning_transformer.compare.report.further.effects import further_metrics
from lightning_transformer.compare.report.inference.noise import Source
from lightning_transformer.compare.report.inference.statistics import Effect, paired_effects
from lightning_transformer.compare.report.load import Omitted
from lightning_transformer.compare.report.paper.head import head
from lightning_transformer.compare.report.report import Report
from lightning_transformer.compare.report.sources.documents import TextNoise, text_noise
from lightning_transformer.compare.report.variants import (
    order,
    variant_row,
    with_verdicts,
)

MARGIN_PERCENT = 0.5
LACKING = ("diverged", "failed", "running", "missing")  # states that cost a pair


def analyse(design: Design, *, title: str, margin_percent: float = MARGIN_PERCENT,
            warnings: Sequence[str] = (), left_out: Sequence[Omitted] = ()) -> Report:  # fmt: skip
    """The report of a design."""
    labels, seeds = design.labels, design.seeds
    states = {label: {s: design.state(label, s) for s in seeds} for label in labels}
    ok = {label: [s for s in seeds if states[label][s] == "ok"] for label in labels}
    base = design.cells[design.baseline]
    apart = {v: incomparable(design.metric, base, design.cells[v]) for v in labels}
    if not design.comparison.mixed_devices and (mixed := mixed_devices(design.runs)):
        apart |= {v: apart[v] or mixed for v in labels if v != design.baseline}
    comparable = {label: [] if apart[label] else ok[label] for label in labels}
    pairs = {v: [s for s in comparable[v] if s in ok[design.baseline]] for v in labels}
    base_values = values_of(design, design.baseline, ok[design.baseline])
    margin = abs(mean(base_values)) * margin_percent / 100 if base_values else 0.0
    texts = text_noise(design, pairs)
    further = {v: _further_sources(design, v, texts[v]) for v in labels[1:]}
    found = _effects(design, pairs, margin, further)
    rows = with_verdicts([
        replace(variant_row(design, label, states, found.get(label),
                            texts[label].text if label in texts else None, pairs[label]),
                incomparable=apart[label])
        for label in labels
    ])  # fmt: skip
    rows[1:] = sorted(rows[1:], key=lambda row: order(row, design.lower_is_better))
    drawn = {row.variant: ok[row.variant] for row in rows if ok[row.variant]}
    # An order is of runs with the same seeds: those of the baseline.
    ranked = {label: some for label, some in pairs.items() if some == ok[design.baseline] != []}
    runs = [design.cells[label][s] for label, some in drawn.items() for s in some]
    series = curves.series_of(runs)
    used = sorted({seed for label in labels[1:] for seed in pairs[label]})
    content = Report(
        schema=SCHEMA,
        title=title,
        stage=design.comparison.stage,
        metric=design.metric,
        better="lower" if design.lower_is_better else "higher",
        by=list(design.by),
        baseline=BaselineChoice(design.baseline, design.chosen),
        seeds=seeds,
        blocks=Blocks(used or ok[design.baseline], _dropped(states, ok, seeds)),
        margin=Margin(margin_percent, margin, _settled(rows)),
        method=next((effect.method for effect in found.values()), "none"),
        head=head(design),
        warnings=[*design.notes, *warnings, *warnings_of(design, rows), *choice_warnings(design)],
        variants=rows,
        further=further_metrics(design, {row.variant: row.short for row in rows}, ok),
        runs=run_rows(design, rows, states),
        facts=facts(design, comparable),
        matched=matched(design, rows),
        curves=None if series is None else curves.over_both_axes(design, drawn, pairs, series),
        ranks=None if series is None else curves.ranks(design, ranked, series),
        factors=factors(design, comparable),
        learning_rates=learning_rates(design, rows),
        failures=design.comparison.failures,
        left_out=[*left_out, *design.left_out],
    )  # fmt: skip
    checked: Report = finite(content)
    return checked


def _further_sources(design: Design, label: str, text: TextNoise) -> list[Source]:
    """What makes the difference of a variant uncertain, besides the seeds."""
    documents = [] if text.source is None else [text.source]
    return [*documents, *choice_sources(design, label)]


def _effects(
    design: Design,
    pairs: Mapping[str, list[int]],
    margin: float,
    further: Mapping[str, Sequence[Source]],
) -> dict[str, Effect]:
    """Label to effect, of those that share a seed with the baseline; further: sources of error."""
    others = [label for label in design.labels[1:] if pairs[label]]
    base = {s: values_of(design, design.baseline, [s])[0] for s in pairs[design.baseline]}
    scale = max(map(abs, base.values()), default=0.0)
    differences = [
        [ours - base[seed] for seed, ours in
         zip(pairs[label], values_of(design, label, pairs[label]), strict=True)]
        for label in others
    ]  # fmt: skip
    results = paired_effects(
        differences,
        margin=margin,
        scale=scale,
        lower_is_better=design.lower_is_better,
        looks=design.comparison.looks,
        sources=[further[label] for label in others],
    )
    return dict(zip(others, results, strict=True))


def _settled(rows: Sequence[VariantRow]) -> float | None:
    """The margin, in percent, within which each tested variant could have been shown equal."""
    return max(
        (row.effect.equal_within_percent for row in rows
         if row.effect and row.effect.equal_within_percent is not None and row.effect.n > 2),
        default=None,
    )  # fmt: skip


def _dropped(
    states: Mapping[str, Mapping[int, str]], ok: Mapping[str, list[int]], seeds: Sequence[int]
) -> list[DroppedSeed]:
    """Seeds at which a variant that has others lacks its run: only its own pair is missing."""
    found = []
    for seed in seeds:
        because = [
            f"{label}: {row[seed]}" for label, row in states.items() if row[seed] in LACKING
            and ok[label]
        ]  # fmt: skip
        if because:
            found.append(DroppedSeed(seed, because))
    return found

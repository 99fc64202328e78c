"""One row per variant: its runs, its metric, its difference from the baseline, its verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from statistics import mean, stdev

import numpy as np

from lightning_transformer.compare.report.contents import (
    ConfigDifference,
    Divergence,
    VariantEffect,
    VariantRow,
)
from lightning_transformer.compare.report.design import Design, differences
from lightning_transformer.compare.report.factors import values_of
from lightning_transformer.compare.report.facts import median_of
from lightning_transformer.compare.report.statistics import (
    Effect,
    bootstrap,
    divergence_p,
    holm,
    mean_interval,
    minimal_detectable_effect,
    paired_p,
)

LOSSES = "document_losses.npy"  # of a run: (loss, count) of each test example
STATES = ("ok", "diverged", "failed", "stopped", "running", "missing")
NOT_COUNTED = Divergence(0, 0, None)  # until `with_verdicts` has seen all rows


def variant_row(
    design: Design,
    label: str,
    states: Mapping[str, Mapping[int, str]],
    effect: Effect | None,
    compared: Sequence[int],
) -> VariantRow:
    """The row of a variant, without its verdict.

    states: label to seed to state. compared: the seeds that are compared, empty for a variant that
    has diverged: its mean is of the runs that did not.
    """
    row = design.cells[label]
    first = row[min(row)]
    ok = [seed for seed in design.seeds if states[label][seed] == "ok"]
    values = values_of(design, label, compared or ok)
    shared = [seed for seed in ok if states[design.baseline][seed] == "ok"]
    base_values = values_of(design, design.baseline, shared)
    pairs = zip(shared, values_of(design, label, shared), base_values, strict=True)
    d = {str(seed): ours - base for seed, ours, base in pairs}
    rate = first.config.get("optimizer.lr")
    memory = median_of(run.result.peak_memory_bytes for run in row.values())
    is_baseline = label == design.baseline
    return VariantRow(
        variant=label,
        short=", ".join(part.partition("=")[2] or part for part in label.split(",")),
        is_baseline=is_baseline,
        is_placebo=label == design.comparison.placebo,
        n_runs=len(row),
        states={name: sum(state == name for state in states[label].values()) for name in STATES},
        params=first.result.n_params_non_embedding,
        flops_per_token=first.result.flops_per_token,
        tokens_per_second=median_of(run.result.tokens_per_second for run in row.values()),
        seconds=median_of(run.result.seconds for run in row.values()),
        memory_mib=None if memory is None else memory * 2**-20,
        lr=rate if isinstance(rate, (int, float)) else None,
        mean=mean(values) if values else None,
        sd=stdev(values) if len(values) > 1 else None,
        values={
            str(seed): row[seed].result.metrics[design.metric] if seed in ok else None
            for seed in design.seeds
        },
        differences=d,
        effect=None if is_baseline else _effect(effect, list(d.values()), base_values),
        other_text=_other_text(design, label, compared) if design.metric == "test/loss" else None,
        stopped=design.comparison.stopped.get(label),
        differs=[] if is_baseline else _differs(design, label),
        divergence=NOT_COUNTED,
        verdict="",
    )


def _differs(design: Design, label: str) -> list[ConfigDifference]:
    """Keys of the configuration that differ from the baseline's, of a seed that both have."""
    row, base = design.cells[label], design.cells[design.baseline]
    found = differences(base[min(set(row) & set(base) or base)], row[min(row)])
    return [ConfigDifference(key, old, new) for key, (old, new) in found.items()]


def _effect(
    effect: Effect | None, d: Sequence[float], base_values: Sequence[float]
) -> VariantEffect | None:
    """The effect as reported; of a variant that diverged, the difference of its other runs."""
    if effect is None and not d:
        return None
    known = effect or _without_verdict(d)
    base = mean(base_values) if base_values else 0.0
    detectable = None
    if len(d) > 1 and len(set(d)) > 1:
        detectable = minimal_detectable_effect(stdev(d), len(d))
    percent = 100 * known.delta / abs(base) if base else None
    return VariantEffect(**asdict(known), delta_percent=percent, detectable=detectable)


def _without_verdict(d: Sequence[float]) -> Effect:
    """The difference of the runs that did not diverge: shown, but no verdict is based on it."""
    n, se, low, high, p = len(d), None, None, None, None
    if n > 1:
        se, p = stdev(d) / math.sqrt(n), paired_p(d)
        low, high = map(float, mean_interval(d))
    return Effect(mean(d), se, n - 1, low, high, p, None, n, "paired", None, "diverged")


def _other_text(design: Design, label: str, seeds: Sequence[int]) -> list[float] | None:
    """Interval of the mean difference over other test documents, where runs kept their losses."""
    if label == design.baseline or not seeds:
        return None
    total, count = 0.0, None
    for seed in seeds:
        files = [design.cells[v][seed].folder / LOSSES
                 for v in (label, design.baseline)]  # fmt: skip
        if not all(file.is_file() for file in files):
            return None
        ours, theirs = (np.load(file, allow_pickle=False) for file in files)
        if len(ours) != len(theirs) or (ours["count"] != theirs["count"]).any():
            return None  # another tokenizer: documents are not of one length
        total = total + ours["loss"].astype(float) - theirs["loss"].astype(float)
        count = ours["count"]
    return list(bootstrap(np.stack([np.asarray(total) / len(seeds), count], axis=1)))  # type: ignore[list-item]


def examples_that_differ(design: Design, rows: Sequence[VariantRow]) -> list[str]:
    """Why some variants lack the interval over other test texts that others have."""
    kept = {
        label
        for label, row in design.cells.items()
        if all((run.folder / LOSSES).is_file() for run in row.values())
    }
    lacking = [
        row.variant
        for row in rows
        if row.effect and row.other_text is None and {row.variant, design.baseline} <= kept
    ]
    if not lacking or design.metric != "test/loss":
        return []
    return [
        f"No interval over other test texts for {', '.join(lacking[:3])}"
        + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
        + ": their test examples are others than the baseline's, or are cut otherwise."
    ]


def with_verdicts(rows: Sequence[VariantRow]) -> list[VariantRow]:
    """Add how surely each variant diverges more often than the baseline, and its verdict."""
    counts = [(row.states["diverged"], row.states["diverged"] + row.states["ok"]) for row in rows]
    base = counts[0]
    raw = [
        divergence_p(*count, *base) if (count[0] or base[0]) and count[1] else None
        for count in counts[1:]
    ]
    adjusted = iter(holm([p for p in raw if p is not None]))
    p_values = [None, *(None if p is None else float(next(adjusted)) for p in raw)]
    return [
        replace(row, divergence=Divergence(*count, p), verdict=_verdict(row, rows[0]))
        for row, count, p in zip(rows, counts, p_values, strict=True)
    ]


def _verdict(row: VariantRow, base: VariantRow) -> str:
    if row.is_baseline:
        return "baseline"
    if row.stopped:
        return "stopped"
    if row.states["diverged"] or base.states["diverged"]:
        return "diverged" if row.states["diverged"] else "baseline diverged"
    return row.effect.verdict if row.effect else "no finished run"


def order(row: VariantRow, lower: bool) -> tuple[bool, float, float, str]:
    """By the rate of diverging, then by the difference; at the end those without either."""
    of, n = row.divergence.of, row.divergence.n
    value = row.effect.delta * (1 if lower else -1) if row.effect else math.inf
    unknown = bool(row.stopped) or not (row.effect or n)
    return unknown, n / of if of else 0.0, value, row.variant

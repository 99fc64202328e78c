"""One row per variant: its runs, its metric, its difference from the baseline, its verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from statistics import mean, stdev

from lightning_transformer.compare.report.contents import (
    ConfigDifference,
    Divergence,
    VariantEffect,
    VariantRow,
)
from lightning_transformer.compare.report.design import Design, differences
from lightning_transformer.compare.report.factors import values_of
from lightning_transformer.compare.report.facts import median_of
from lightning_transformer.compare.report.inference.statistics import (
    ALPHA,
    Effect,
    divergence_p,
    holm,
)
from lightning_transformer.compare.report.sources.documents import OtherText

STATES = ("ok", "diverged", "failed", "stopped", "running", "missing", "settled")
NOT_COUNTED = Divergence(0, 0, None, "")  # until `with_verdicts` has seen all rows


def variant_row(
    design: Design,
    label: str,
    states: Mapping[str, Mapping[int, str]],
    effect: Effect | None,
    text: OtherText | None,
    pairs: Sequence[int],
) -> VariantRow:
    """The row of a variant, without its verdict.

    states: label to seed to state. text: whether its effect is for other test text too. pairs: the
    seeds at which it and the baseline have a value.
    """
    row = design.cells[label]
    first = row[min(row)]
    ok = [seed for seed in design.seeds if states[label][seed] == "ok"]
    values = values_of(design, label, ok)
    base_values = values_of(design, design.baseline, pairs)
    both = zip(pairs, values_of(design, label, pairs), base_values, strict=True)
    rate = first.config.get("optimizer.lr")
    memory = median_of(run.result.peak_memory_bytes for run in row.values())
    is_baseline = label == design.baseline
    return VariantRow(
        variant=label,
        short=", ".join(design.values[label].values()) or label,
        is_baseline=is_baseline,
        is_placebo=label == design.comparison.placebo,
        n_runs=len(row),
        states={name: sum(state == name for state in states[label].values()) for name in STATES},
        params=first.result.n_params_non_embedding,
        active_params=first.result.n_params_active or first.result.n_params_non_embedding,
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
        differences={str(seed): ours - base for seed, ours, base in both},
        effect=None if is_baseline else _effect(effect, base_values),
        other_text=None if is_baseline or effect is None else text,
        stopped=design.comparison.stopped.get(label),
        incomparable=None,
        differs=[] if is_baseline else _differs(design, label),
        divergence=NOT_COUNTED,
        verdict="unchanged" if _changed_nothing(design, label, states, pairs) else "",
    )


def _changed_nothing(
    design: Design, label: str, states: Mapping[str, Mapping[int, str]], pairs: Sequence[int]
) -> bool:
    """Whether each run ended as the baseline's did, with the same numbers bit by bit."""
    if label == design.baseline or not pairs:
        return False
    ours, base = design.cells[label], design.cells[design.baseline]
    return all(
        states[label][seed] == states[design.baseline][seed]
        and (seed not in pairs or ours[seed].result.metrics == base[seed].result.metrics)
        for seed in set(ours) & set(base)
    )


def _differs(design: Design, label: str) -> list[ConfigDifference]:
    """Keys of the configuration that differ from the baseline's, of a seed that both have."""
    row, base = design.cells[label], design.cells[design.baseline]
    found = differences(base[min(set(row) & set(base) or base)], row[min(row)])
    return [ConfigDifference(key, old, new) for key, (old, new) in found.items()]


def _effect(effect: Effect | None, base_values: Sequence[float]) -> VariantEffect | None:
    """The effect as reported, in percent too."""
    if effect is None:
        return None
    base = abs(mean(base_values))

    def percent(value: float | None) -> float | None:
        return None if value is None or not base else 100 * value / base

    return VariantEffect(
        **asdict(effect),
        delta_percent=percent(effect.delta),
        detectable_percent=percent(effect.detectable),
        equal_within_percent=percent(effect.equal_within),
    )


def with_verdicts(rows: Sequence[VariantRow]) -> list[VariantRow]:
    """Add each variant's verdict, and how surely it diverges more often than the baseline."""
    found = [replace(rows[0], divergence=_count(rows[0]), verdict="baseline")]
    for row, divergence in zip(rows[1:], _divergences(rows), strict=True):
        counted = replace(row, divergence=divergence)
        found.append(replace(counted, verdict=_verdict(counted, rows[0])))
    return found


def _count(row: VariantRow) -> Divergence:
    n = row.states["diverged"]
    return Divergence(n, n + row.states["ok"], None, "")


def _divergences(rows: Sequence[VariantRow]) -> list[Divergence]:
    """Fisher's test of each variant against the baseline, after Holm."""
    base, counts = _count(rows[0]), [_count(row) for row in rows[1:]]
    tested = [i for i, c in enumerate(counts) if c.of and base.of and (c.n or base.n)]
    p_values = holm([divergence_p(counts[i].n, counts[i].of, base.n, base.of) for i in tested])
    for i, p in zip(tested, p_values.tolist(), strict=True):
        one = counts[i]
        verdict = "unresolved"
        if p < ALPHA:
            verdict = "more" if one.n / one.of > base.n / base.of else "less"
        elif len(tested) * divergence_p(one.of, one.of, 0, base.of) >= ALPHA:
            verdict = "too few"
        counts[i] = replace(one, p_holm=p, verdict=verdict)
    return counts


def _verdict(row: VariantRow, base: VariantRow) -> str:
    if row.stopped:
        return "stopped"
    if row.incomparable:
        return "not comparable"
    if row.divergence.verdict in ("more", "less"):
        return f"diverges {row.divergence.verdict}"
    if row.verdict or row.effect:
        return row.verdict or row.effect.verdict  # type: ignore[union-attr]
    if not row.states["ok"]:
        return "diverged" if row.states["diverged"] else "no finished run"
    if not base.states["ok"]:
        return "baseline diverged" if base.states["diverged"] else "no finished baseline"
    return "no shared seed"


def order(row: VariantRow, lower: bool) -> tuple[bool, float, float, str]:
    """By the rate of diverging, then by the difference; at the end those without either."""
    of, n = row.divergence.of, row.divergence.n
    value = row.effect.delta * (1 if lower else -1) if row.effect else math.inf
    unknown = bool(row.stopped) or not (row.effect or n)
    return unknown, n / of if of else 0.0, value, row.variant

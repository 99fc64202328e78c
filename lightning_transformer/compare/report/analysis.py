"""All that a report says, as plain numbers and words: the content of report.json.

Pages, tables and plots show what is in here and compute nothing of their own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import mean, median, stdev
from typing import Any

import numpy as np
from scipy.special import stdtrit

from lightning_transformer.compare.report import curves
from lightning_transformer.compare.report.design import Design, differences
from lightning_transformer.compare.report.factors import factors, learning_rates, values_of
from lightning_transformer.compare.report.statistics import (
    bootstrap,
    divergence_p,
    effects,
    holm,
    minimal_detectable_effect,
    paired_t,
)

SCHEMA = 1
LOSSES = "document_losses.npy"  # of a run: (loss, count) of each test example
MARGIN_PERCENT = 0.5
PARAMS_TOLERANCE = 0.02
STATES = ("ok", "diverged", "failed", "stopped", "running", "missing")


def analyse(design: Design, *, title: str, margin_percent: float = MARGIN_PERCENT,
            warnings: Sequence[str] = ()) -> dict[str, Any]:  # fmt: skip
    """Everything, from the runs of a design."""
    labels, seeds = design.labels, design.seeds
    states = {label: {s: design.state(label, s) for s in seeds} for label in labels}
    ok = {label: [s for s in seeds if states[label][s] == "ok"] for label in labels}
    clean = [v for v in labels if ok[v] and "diverged" not in states[v].values()]
    used = [s for s in seeds if all(s in ok[label] for label in clean)] if clean else []
    compared = dict.fromkeys(clean, used) if used else {}
    base_values = values_of(design, design.baseline, ok[design.baseline])
    margin = abs(mean(base_values)) * margin_percent / 100 if base_values else 0.0
    found = _effects(design, compared, margin)
    rows = [
        _variant(design, label, states[label], ok[label], found.get(label), compared)
        for label in labels
    ]
    _divergence(rows, margin, design.lower_is_better)
    rows[1:] = sorted(rows[1:], key=lambda row: _order(row, design.lower_is_better))
    drawn = {row["variant"]: ok[row["variant"]] for row in rows if ok[row["variant"]]}
    runs = [design.cells[label][s] for label, some in drawn.items() for s in some]
    series = curves.series_of(runs)
    ranked = {
        row["variant"]: compared[row["variant"]] for row in rows if row["variant"] in compared
    }
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "title": title,
        "stage": design.comparison.get("stage"),
        "metric": design.metric,
        "better": "lower" if design.lower_is_better else "higher",
        "by": list(design.by),
        "baseline": {"variant": design.baseline, "chosen": design.chosen},
        "seeds": seeds,
        "blocks": {"used": used, "dropped": _dropped(states, clean, used, seeds)},
        "margin": {"percent": margin_percent, "absolute": margin},
        "method": next((e["method"] for e in found.values()), "none"),
        "warnings": [*warnings, *_warnings(design, rows), *_other_lengths(design, rows)],
        "variants": rows,
        "runs": _runs(design, rows, states),
        "facts": facts(design),
        "matched": _matched(design, rows),
        "curves": None if series is None else {
            "series": series,
            "tokens": curves.curves(design, drawn, series, "tokens"),
            "seconds": curves.curves(design, drawn, series, "seconds"),
        },
        "ranks": None if series is None else curves.ranks(design, ranked, series),
        "factors": factors(design, compared),
        "learning_rates": learning_rates(design, rows),
        "failures": design.comparison.get("failures", []),
    }  # fmt: skip
    return _finite(content)


def _effects(design: Design, compared: Mapping[str, list[int]], margin: float) -> dict[str, Any]:
    """Label to effect, of those that were compared seed by seed."""
    others = [label for label in compared if label != design.baseline]
    if design.baseline not in compared or not others:
        return {}
    y = np.array([values_of(design, v, compared[v]) for v in (design.baseline, *others)])
    results = effects(y, margin=margin, lower_is_better=design.lower_is_better)
    return {label: asdict(effect) for label, effect in zip(others, results, strict=True)}


def _variant(
    design: Design,
    label: str,
    states: Mapping[int, str],
    ok: Sequence[int],
    effect: dict[str, Any] | None,
    compared: Mapping[str, list[int]],
) -> dict[str, Any]:
    row = design.cells[label]
    some = list(row.values())
    base = design.cells[design.baseline]
    values = values_of(design, label, compared.get(label) or ok)
    first = row[min(row)]
    rate = first.config.get("optimizer.lr")
    stopped = design.comparison.get("stopped", {}).get(label)
    shared = [s for s in ok if design.state(design.baseline, s) == "ok"]
    ours, theirs = (
        values_of(design, label, shared),
        values_of(design, design.baseline, shared),
    )
    d = {str(s): a - b for s, a, b in zip(shared, ours, theirs, strict=True)}
    if effect is None and label != design.baseline and d:
        effect = _of_survivors(list(d.values()))
    mean_base = mean(theirs) if theirs else None
    return {
        "variant": label,
        "short": ", ".join(part.partition("=")[2] or part for part in label.split(",")),
        "is_baseline": label == design.baseline,
        "is_placebo": label == design.comparison.get("placebo"),
        "n_runs": len(row),
        "states": {name: sum(state == name for state in states.values()) for name in STATES},
        "params": first.result.n_params_non_embedding,
        "flops_per_token": first.result.flops_per_token,
        "tokens_per_second": _median(run.result.tokens_per_second for run in some),
        "seconds": _median(run.result.seconds for run in some),
        "memory_mib": _scaled(_median(run.result.peak_memory_bytes for run in some), 2**-20),
        "lr": rate if isinstance(rate, (int, float)) else None,
        "mean": mean(values) if values else None,
        "sd": stdev(values) if len(values) > 1 else None,
        "values": {
            str(s): row[s].result.metrics[design.metric] if states[s] == "ok" else None
            for s in design.seeds
        },
        "differences": d,
        "effect": None if effect is None else {
            **effect,
            "delta_percent": 100 * effect["delta"] / abs(mean_base) if mean_base else None,
            "detectable": _detectable(list(d.values())),
        },
        "other_text": _other_text(design, label, compared.get(label, []))
        if design.metric == "test/loss"
        else None,
        "stopped": stopped,
        "differs": [
            {"key": key, "baseline": old, "here": new}
            for key, (old, new) in differences(
                base[min(set(row) & set(base) or base)], first
            ).items()
        ]
        if label != design.baseline
        else [],
    }  # fmt: skip


def _of_survivors(d: Sequence[float]) -> dict[str, Any]:
    """The difference of what did not diverge: shown, and no verdict drawn from it."""
    n, delta = len(d), mean(d)
    se = stdev(d) / math.sqrt(n) if n > 1 else math.nan
    half = float(stdtrit(n - 1, 0.975)) * se if n > 1 else math.inf
    p = paired_t(d)[2] if n > 1 else math.nan
    return {
        "delta": delta, "se": se, "df": n - 1, "low": delta - half, "high": delta + half, "p": p,
        "p_holm": None, "n": n, "method": "paired", "n_needed": None, "verdict": "diverged",
    }  # fmt: skip


def _detectable(d: Sequence[float]) -> float | None:
    return minimal_detectable_effect(stdev(d), len(d)) if len(d) > 1 and len(set(d)) > 1 else None


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


def _other_lengths(design: Design, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Why some variants lack the interval over other test texts that others have."""
    kept = {
        label
        for label, row in design.cells.items()
        if all((run.folder / LOSSES).is_file() for run in row.values())
    }
    lacking = [
        row["variant"]
        for row in rows
        if row["effect"] and row["other_text"] is None and {row["variant"], design.baseline} <= kept
    ]
    if not lacking or design.metric != "test/loss":
        return []
    return [
        f"No interval over other test texts for {', '.join(lacking[:3])}"
        + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
        + ": their test examples are others than the baseline's, or are cut otherwise."
    ]


def _divergence(rows: list[dict[str, Any]], margin: float, lower: bool) -> None:
    """Add how surely each variant diverges more often than the baseline, and the verdict words."""
    base = rows[0]
    counts = [(row["states"]["diverged"], row["states"]["diverged"] + row["states"]["ok"])
              for row in rows]  # fmt: skip
    raw = [
        divergence_p(*count, *counts[0]) if (count[0] or counts[0][0]) and count[1] else None
        for count in counts[1:]
    ]
    adjusted = (
        iter(holm([p for p in raw if p is not None]))
        if any(p is not None for p in raw)
        else iter(())
    )
    base["divergence"] = {"n": counts[0][0], "of": counts[0][1], "p_holm": None}
    for row, count, p in zip(rows[1:], counts[1:], raw, strict=True):
        p_holm = None if p is None else float(next(adjusted))
        row["divergence"] = {"n": count[0], "of": count[1], "p_holm": p_holm}
    for row in rows:
        row["verdict"] = _verdict(row, base)


def _verdict(row: dict[str, Any], base: dict[str, Any]) -> str:
    """A word; the page adds the numbers."""
    if row["is_baseline"]:
        return "baseline"
    if row["stopped"]:
        return "stopped"
    if row["states"]["diverged"] or base["states"]["diverged"]:
        return "diverged" if row["states"]["diverged"] else "baseline diverged"
    return row["effect"]["verdict"] if row["effect"] else "no finished run"


def _order(row: dict[str, Any], lower: bool) -> tuple[Any, ...]:
    """By the rate of diverging, then by the difference; at the end those without either."""
    of, n = row["divergence"]["of"], row["divergence"]["n"]
    effect = row["effect"]
    sign = 1 if lower else -1
    value = sign * effect["delta"] if effect else math.inf
    return (bool(row["stopped"]) or not (effect or n), n / of if of else 0, value, row["variant"])


def _dropped(
    states: Mapping[str, Mapping[int, str]], clean: Sequence[str], used: Sequence[int],
    seeds: Sequence[int],
) -> list[dict[str, Any]]:  # fmt: skip
    """Seeds that some variant has not finished: left out for all."""
    return [
        {
            "seed": seed,
            "because": [f"{v}: {states[v][seed]}" for v in clean if states[v][seed] != "ok"],
        }
        for seed in seeds
        if seed not in used and any(states[v][seed] == "ok" for v in clean)
    ]


def _warnings(design: Design, rows: Sequence[dict[str, Any]]) -> list[str]:
    found = []
    devices = sorted(
        {run.result.device or "" for row in design.cells.values() for run in row.values()}
    )
    if len(devices) > 1:
        found.append(f"Times are of several machines: {'; '.join(devices)}.")
    for row in rows:
        if row["is_placebo"] and row["verdict"] in ("better", "worse"):
            found.append(
                "The placebo, which is the baseline with other initial weights, comes out as "
                f"{row['verdict']}: something is wrong, or the noise is larger than it seems. "
                "Do not trust this report."
            )
    dirty = {run.result.commit for row in design.cells.values() for run in row.values()
             if (run.result.commit or "").endswith("-dirty")}  # fmt: skip
    if dirty:
        found.append("The code had changes that were not committed.")
    return found


def _matched(design: Design, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each axis of fairness, the largest deviation from the baseline, in percent."""
    comparison = design.comparison.get("match", {})
    base = rows[0]
    found = []
    tokens = {
        label: _median(run.result.tokens_seen for run in row.values())
        for label, row in design.cells.items()
    }
    for name, of in (
        ("parameters without embeddings", {row["variant"]: row["params"] for row in rows}),
        ("training FLOPs per token", {row["variant"]: row["flops_per_token"] for row in rows}),
        ("training tokens", tokens),
        ("training time", {row["variant"]: row["seconds"] for row in rows}),
    ):
        reference = of[base["variant"]]
        others = [abs(v / reference - 1) for v in of.values() if v is not None] if reference else []
        worst = max(others, default=None)
        found.append({
            "what": name,
            "worst_percent": None if worst is None else 100 * worst,
            "equal": worst is not None and worst <= 0.01,
            "asked": comparison.get("axis") is not None and str(comparison["axis"]) in name,
        })  # fmt: skip
    orders = [
        len({run.result.samples_sha256 for row in design.cells.values() for s, run in row.items()
             if s == seed and run.result.status == "finished"}) <= 1
        for seed in design.seeds
    ]  # fmt: skip
    found.append({
        "what": "samples and their order, seed by seed", "worst_percent": None,
        "equal": all(orders), "asked": False,
    })  # fmt: skip
    return found


def facts(design: Design) -> list[dict[str, str]]:
    """What all runs share, as words."""
    some = [run for row in design.cells.values() for run in row.values()]

    def all_of(name: str, values: Any) -> dict[str, str]:
        found = sorted({str(value) for value in values if value not in (None, "")})
        return {"name": name, "value": "; ".join(found) or "unknown"}

    lr = design.comparison.get("lr", {})
    policy = {
        "sweep3": "tuned per variant on val, with a seed of its own",
        "fixed": "not tuned per variant",
    }
    return [
        all_of("data", (run.result.data.get("name") for run in some)),
        all_of("data sha256", (str(run.result.data.get("sha256", ""))[:12] for run in some)),
        all_of("commit", ((run.result.commit or "")[:7] for run in some)),
        {
            "name": "learning rate",
            "value": policy.get(lr.get("policy", ""), "not tuned per variant"),
        },
        all_of("precision", (run.result.precision for run in some)),
        all_of("device", (run.result.device for run in some)),
        all_of("python", (run.result.versions.get("python") for run in some)),
        all_of("torch", (run.result.versions.get("torch") for run in some)),
    ]


def _runs(design: Design, rows: Sequence[dict[str, Any]], states: Any) -> list[dict[str, Any]]:
    """One entry per run, for report.csv."""
    found = []
    for row in rows:
        for seed, run in sorted(design.cells[row["variant"]].items()):
            result: Any = run.result
            found.append({
                "variant": row["variant"], "seed": seed, "state": states[row["variant"]][seed],
                design.metric: result.metrics.get(design.metric),
                "params": result.n_params_non_embedding, "tokens": result.tokens_seen,
                "steps": result.steps, "seconds": result.seconds,
                "tokens_per_second": result.tokens_per_second,
                "peak_memory_bytes": result.peak_memory_bytes, "folder": run.folder.name,
                "error": result.error,
            })  # fmt: skip
    return found


def _median(values: Any) -> float | None:
    known = [float(value) for value in values if value is not None]
    return median(known) if known else None


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value

"""What all runs of a report share, what should be equal, and what makes its numbers doubtful."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from lightning_transformer.compare.report.comparison import RateSearch
from lightning_transformer.compare.report.contents import (
    Equality,
    Fact,
    PlainValue,
    VariantRow,
)
from lightning_transformer.compare.report.design import Design
from lightning_transformer.compare.report.factors import why_no_factors
from lightning_transformer.compare.report.fairness.samples import doubts
from lightning_transformer.compare.report.render import numbers

# What match= may leave: more is said in the head of a report. Times are noisy.
LEFT_OVER = {"params": 0.02, "trained": 0.02, "flops": 0.02, "time": 0.1}


def warnings_of(design: Design, rows: Sequence[VariantRow]) -> list[str]:
    """What makes the numbers doubtful, one sentence each."""
    found = []
    for row in rows:
        if row.is_placebo and row.verdict in ("better", "worse"):
            found.append(
                "The placebo, which is the baseline with other initial weights, comes out as "
                f"{row.verdict}: something is wrong, or the noise is larger than it seems. "
                "Do not trust this report."
            )
    found += [*_looks(design), *_early(design), *_unmatched(design)]
    return found + doubts(design.cells, design.metric)


def _looks(design: Design) -> list[str]:
    """That seeds were added, and what the intervals then hold."""
    looks = design.comparison.looks
    if looks is None:
        return []
    if looks.first < looks.planned:
        return [
            f"Seeds were added, from {looks.first} to {looks.planned} at most, until each variant "
            "was settled: intervals and p hold at all looks together."
        ]
    return [
        f"The comparison was judged after {looks.first} seeds and then extended: intervals and p "
        "here count both looks; the two reports together err in at most 6 % instead of 5 %."
    ]


def _early(design: Design) -> list[str]:
    """A sentence on the runs that stopped early, with the first three of them."""
    early = [
        f"{label} seed={seed} at step {run.result.steps} ({run.result.stopped_early})"
        for label, row in design.cells.items()
        for seed, run in sorted(row.items())
        if run.result.stopped_early
    ]
    if not early:
        return []
    more = "; .." if len(early) > 3 else ""
    return [
        f"{len(early)} of {len(design.runs)} runs stopped early, and saw fewer tokens than others: "
        f"{'; '.join(early[:3])}{more}."
    ]


def matched(design: Design, rows: Sequence[VariantRow]) -> list[Equality]:
    """For each quantity that should be equal, the largest deviation from the baseline."""
    tokens = {
        label: median_of(run.result.tokens_seen for run in row.values())
        for label, row in design.cells.items()
    }
    axis = design.comparison.match.axis
    experts = any(row.active_params != row.params for row in rows)
    found = []
    for name, of_axis, amounts in (
        ("parameters without embeddings", "" if experts else "params",
         {row.variant: row.params for row in rows}),
        ("active parameters without embeddings", "params",
         {row.variant: row.active_params for row in rows} if experts else {}),
        ("training FLOPs per token", "", {row.variant: row.flops_per_token for row in rows}),
        ("training tokens", "", tokens),
        ("training FLOPs", "flops",
         {row.variant: _times(row.flops_per_token, tokens[row.variant]) for row in rows}),
        ("training time", "time", {row.variant: row.seconds for row in rows}),
    ):  # fmt: skip
        if not amounts:
            continue
        base = amounts[rows[0].variant]
        others = [abs(v / base - 1) for v in amounts.values() if v is not None] if base else []
        worst = max(others, default=None)
        found.append(Equality(
            what=name,
            worst_percent=None if worst is None else 100 * worst,
            equal=worst is not None and worst <= 0.01,
            asked=axis == of_axis,
        ))  # fmt: skip
    return [*found, Equality("samples and their order, seed by seed", None, _same_samples(design),
                             asked=False)]  # fmt: skip


def _times(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a * b


def _unmatched(design: Design) -> list[str]:
    """What match= was to make equal and the runs themselves report otherwise."""
    match = design.comparison.match
    limit = LEFT_OVER.get(match.axis)
    far = {
        label: left for label, left in match.residual.items()
        if limit is not None and abs(left) > limit
    }  # fmt: skip
    if not far:
        return []
    shown = ", ".join(f"{label} {left:+.1%}" for label, left in sorted(far.items()))
    return [f"match={match.axis} left a difference from the baseline, after the runs: {shown}."]


def _same_samples(design: Design) -> bool:
    """Whether the finished runs of each seed saw the same samples."""
    for seed in design.seeds:
        runs = [row[seed] for row in design.cells.values() if seed in row]
        if len({run.result.samples_sha256 for run in runs if run.result.status == "finished"}) > 1:
            return False
    return True


def facts(design: Design, ok: Mapping[str, list[int]]) -> list[Fact]:
    """What all runs share, as text. ok: label to the seeds that have a value."""
    runs = design.runs

    def all_of(name: str, values: Iterable[str | None]) -> Fact:
        found = sorted({str(value) for value in values if value not in (None, "")})
        return Fact(name, "; ".join(found) or "unknown")

    return [
        all_of("data", (run.result.data.get("name") for run in runs)),
        all_of("data sha256", (str(run.result.data.get("sha256", ""))[:12] for run in runs)),
        all_of("commit", ((run.result.commit or "")[:7] for run in runs)),
        Fact("learning rate", _rate_policy(design.comparison.lr)),
        Fact("compute", compute(design)),
        all_of("precision", (run.result.precision for run in runs)),
        all_of("device", (run.result.device for run in runs)),
        all_of("python", (run.result.versions.get("python") for run in runs)),
        all_of("torch", (run.result.versions.get("torch") for run in runs)),
        Fact("diverged", _divergence_rule(design)),
        *_match_fact(design),
        *_halving_fact(design),
        *([Fact("interactions", why)] if (why := why_no_factors(design, ok)) else []),
    ]


def _rate_policy(search: RateSearch) -> str:
    if search.policy in ("", "fixed"):
        return "not tuned per variant"
    if not search.seeds:
        return "tuned per variant on val, from one run per rate"
    tried = "" if search.policy == "sweep3" else f", of {search.policy}"
    return f"tuned per variant on val{tried}, with seeds {', '.join(map(str, search.seeds))}"


def _halving_fact(design: Design) -> list[Fact]:
    """Which variants halving has stopped, and what that means for the others."""
    comparison = design.comparison
    if not comparison.ranking_seeds:
        return []
    seeds = ", ".join(map(str, comparison.ranking_seeds))
    stopped = "; ".join(f"{label}: {why.reason}" for label, why in comparison.stopped.items())
    return [Fact(
        "halving",
        f"contenders were ranked by runs with seeds {seeds}, which are in no table; Holm counts "
        f"those that went on. Stopped: {stopped or 'none'}",
    )]  # fmt: skip


def compute(design: Design) -> str:
    """At how many training FLOPs a run the differences were found."""
    amounts = [
        _times(
            median_of(run.result.flops_per_token for run in row.values()),
            median_of(run.result.tokens_seen for run in row.values()),
        )
        for row in design.cells.values()
    ]
    known = sorted(amount for amount in amounts if amount)
    if not known:
        return "unknown; the runs do not record their FLOPs"
    ends = dict.fromkeys(numbers.flops(amount) for amount in (known[0], known[-1]))
    return f"found at {' to '.join(ends)} training FLOPs a run; larger models may differ"


def _match_fact(design: Design) -> list[Fact]:
    """What match= made equal, and what is left of the difference after the runs."""
    match = design.comparison.match
    if match.axis == "none" or not match.residual:
        return []
    shown = ", ".join(f"{label} {left:+.2%}" for label, left in sorted(match.residual.items()))
    return [Fact("match", f"{match.axis}; left after the runs: {shown}")]


def _divergence_rule(design: Design) -> str:
    """What counts as a run that diverged."""
    finished = [run.result for run in design.runs if run.result.status == "finished"]
    known = (result.chance.get("test/loss", result.chance.get("val/loss")) for result in finished)
    levels = sorted({level for level in known if level is not None})
    unknown = sum(not result.chance for result in finished)
    if not levels:
        return "where values are not finite; these runs do not record the loss of guessing"
    shown = ", ".join(f"{level:.4g}" for level in levels)
    rest = f" ({unknown} runs do not record it)" if unknown else ""
    return (
        f"where values are not finite, or a loss is a tenth above that of guessing, {shown}{rest}"
    )


def run_rows(
    design: Design, rows: Sequence[VariantRow], states: Mapping[str, Mapping[int, str]]
) -> list[dict[str, PlainValue]]:
    """One entry per run, for report.csv: the compared metric first, all others last."""
    found: list[dict[str, PlainValue]] = []
    others = sorted({name for run in design.runs for name in run.result.metrics} - {design.metric})
    for row in rows:
        for seed, run in sorted(design.cells[row.variant].items()):
            result = run.result
            found.append({
                "variant": row.variant, "seed": seed, "state": states[row.variant][seed],
                design.metric: result.metrics.get(design.metric),
                "params": result.n_params_non_embedding,
                "active_params": result.n_params_active, "tokens": result.tokens_seen,
                "steps": result.steps, "seconds": result.seconds,
                "tokens_per_second": result.tokens_per_second,
                "peak_memory_bytes": result.peak_memory_bytes, "folder": run.folder.name,
                "error": result.error, **{name: result.metrics.get(name) for name in others},
            })  # fmt: skip
    return found


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of those that are known."""
    known = [float(value) for value in values if value is not None]
    return median(known) if known else None

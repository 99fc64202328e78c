"""The answers of a report over several comparisons, as sentences."""

from lightning_transformer.compare.across.contents import (
    LadderContents,
    LadderVariant,
    PartEffect,
    Pooled,
    TasksContents,
    TaskVariant,
)
from lightning_transformer.compare.across.gain import Gain
from lightning_transformer.compare.across.trend import Trend
from lightning_transformer.compare.report.render import numbers

NOTHING = numbers.NOTHING


def percent(value: float | None) -> str:
    """−0.81 %, with its sign."""
    return NOTHING if value is None else f"{value:+.2f} %".replace("-", "−")


def points(value: float | None) -> str:
    """−0.81, with its sign."""
    return NOTHING if value is None else f"{value:+.2f}".replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    """[−1.20, −0.40]"""
    return NOTHING if low is None else f"[{points(low)}, {points(high)}]"


def times(value: float | None) -> str:
    """0.87"""
    return NOTHING if value is None else f"{value:.2f}"


def flops(value: float | None) -> str:
    """1.7e12 FLOPs"""
    return "unknown FLOPs" if value is None else f"{numbers.flops(value)} FLOPs"


def plain(value: float) -> str:
    """0.5"""
    return f"{value:g}"


def count(value: int) -> str:
    """1,234"""
    return f"{value:,}"


def p_value(value: float) -> str:
    """Four digits, or <0.0001."""
    return numbers.p_value(value)


def cell(one: PartEffect) -> str:
    """As `effect`, for the baseline its mean; in two lines."""
    if one.effect is None:
        return numbers.number(one.mean) if one.verdict == "baseline" else one.verdict
    return f"{percent(one.effect)}\n{interval(one.low, one.high)}"


def effect(one: PartEffect) -> str:
    """−0.81 % [−1.20, −0.40]; the reason where there is none."""
    if one.effect is None:
        return one.verdict
    return f"{percent(one.effect)} {interval(one.low, one.high)}"


def trend(found: Trend | None, why: str) -> str:
    """The verdict on a trend in one or two words."""
    if found is None:
        return f"no trend: {why}" if why else NOTHING
    return "not tested (needs at least 3 seeds)" if found.verdict == "not tested" else found.verdict


def gain(found: Gain | None) -> str:
    """0.87 [0.80, 0.95]; the reason where there is none."""
    if found is None:
        return NOTHING
    if found.ratio is None:
        return f"not known: {found.why}"
    ends = "" if found.low is None else f" [{times(found.low)}, {times(found.high)}]"
    return times(found.ratio) + ends + (f" ({found.why})" if found.why else "")


def ladder_sentences(report: LadderContents) -> list[str]:
    """The answer, for each variant its trend and its gain; then at which compute it was found."""
    base, found = report.variants[0].short, []
    for row in report.variants[1:]:
        found.append(_trend_sentence(report, row))
        if row.gain is not None:
            found.append(_gain_sentence(row.short, base, row.gain))
    return [*found, _scope(report)]


def _trend_sentence(report: LadderContents, row: LadderVariant) -> str:
    one = row.trend
    if one is None or one.verdict == "not tested":
        return f"{row.short}: {trend(one, row.why)}."
    slope = (
        f"{points(one.slope)} points per decade of compute {interval(one.low, one.high)}, "
        f"{one.n} seeds"
    )
    ends = f"from {percent(one.first)} to {percent(one.last)}"
    bent = "" if one.off_line is None else (
        f"; not in a straight line over log compute, a size is off by {points(one.off_line)} points"
    )  # fmt: skip
    texts = {
        "grows": f"the difference grows with scale, {ends} ({slope})",
        "fades": f"the difference fades with scale, {ends} ({slope})",
        "reverses": f"the difference reverses with scale, {ends} ({slope})",
        "holds": f"the difference holds over sizes, {ends}: its trend is within "
        f"±{report.margin_percent:g} points per decade of compute ({slope})",
        "unresolved": f"not resolved whether the difference changes with scale ({slope}; "
        f"{0.0 if one.detectable is None else one.detectable:.2f} would be seen 4 times in 5)",
    }
    return f"{row.short}: {texts[one.verdict]}{bent}."


def _gain_sentence(short: str, base: str, found: Gain) -> str:
    if found.ratio is None:
        return f"{short}: compute-equivalent gain not known: {found.why}."
    sure = "" if found.low is None else f" [{times(found.low)}, {times(found.high)}]"
    rest = f"; {found.why}" if found.why else ""
    at = f"{found.loss:.4f}, reached at {flops(found.compute)}" if found.loss is not None else ""
    return (
        f"{short} reaches the same loss with {times(found.ratio)} times the compute of "
        f"{base}{sure} (a loss of {at}{rest})."
    )


def _scope(report: LadderContents) -> str:
    """At which compute all of this was found."""
    known = [rung.compute for rung in report.rungs if rung.compute is not None]
    if not known:
        return "The runs do not record their compute."
    sizes = [rung.size.params for rung in report.rungs if rung.size]
    params = f", {min(sizes):,} to {max(sizes):,} parameters" if sizes else ""
    return (
        f"Found at {numbers.flops(min(known))} to {flops(max(known))} a run{params}; "
        "this says nothing of larger models."
    )


def pooled(found: Pooled | None, why: str) -> str:
    """+0.81 % [+0.40, +1.20]; the reason where there is none."""
    if found is None:
        return f"not known: {why}" if why else NOTHING
    return f"{percent(found.iqm)} {interval(found.low, found.high)}"


def probability(found: Pooled | None) -> str:
    """0.83 [0.61, 0.95]"""
    if found is None:
        return NOTHING
    ends = f"[{times(found.probability_low)}, {times(found.probability_high)}]"
    return f"{times(found.probability)} {ends}"


def verdict(found: Pooled | None) -> str:
    """The verdict over all tasks as text."""
    if found is None:
        return NOTHING
    unresolved = "no significant difference"
    if found.is_sure:
        unresolved = "differs, perhaps by less than the margin"
    texts = {"unresolved": unresolved, "not tested": "not tested (needs at least 3 seeds)"}
    return texts.get(found.verdict, found.verdict)


def task_sentences(report: TasksContents) -> list[str]:
    """The answer over all tasks for each variant; then what it is of."""
    base = report.variants[0].short
    found = [_task_sentence(row, base, report) for row in report.variants[1:]]
    names = ", ".join(task.name for task in report.tasks)
    return [*found, f"Over these {len(report.tasks)} tasks ({names}); others may differ."]


def _task_sentence(row: TaskVariant, base: str, report: TasksContents) -> str:
    one = row.pooled
    if one is None:
        return f"{row.short}: not known: {row.why}."
    texts = {
        "better": f"better than {base} over all tasks",
        "worse": f"worse than {base} over all tasks",
        "equal": f"equal to {base} over all tasks, within ±{report.margin_percent:g} %",
        "unresolved": f"differs from {base} over all tasks, perhaps by less than the margin"
        if one.is_sure
        else f"no significant difference from {base} over all tasks",
        "not tested": "not tested (needs at least 3 seeds)",
    }
    against = [task.part for task in row.tasks if task.effect and task.effect * one.iqm < 0]
    opposite = f"; the other way on {', '.join(against)}" if against else ""
    return (
        f"{row.short}: {texts[one.verdict]}: {pooled(one, '')}, interquartile mean of {one.n} "
        f"improvements; a run is better with a probability of {probability(one)}{opposite}."
    )

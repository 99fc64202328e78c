"""Numbers and verdicts as text, the same in page, Markdown and terminal."""

from lightning_transformer.compare.report.contents import (
    Contents,
    Equality,
    Interaction,
    VariantEffect,
    VariantRow,
)

NOTHING = "–"
NOT_TESTED = "not tested (needs at least 3 seeds)"


def number(value: float | None, digits: int = 4) -> str:
    """0.1235, 1,234.0000; an en dash where there is none."""
    return NOTHING if value is None else f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 4) -> str:
    """+0.0123 or −0.0123."""
    return NOTHING if value is None else f"{value:+,.{digits}f}".replace("-", "−")


def count(value: int | None) -> str:
    """1,234"""
    return NOTHING if value is None else f"{value:,}"


def plain(value: float | None) -> str:
    """0.001, 1e-05"""
    return NOTHING if value is None else f"{value:g}".replace("-", "−")


def integer(value: float | None) -> str:
    """1,235"""
    return number(value, 0)


def two_digits(value: float | None) -> str:
    """0.12"""
    return number(value, 2)


def short(value: float | None) -> str:
    """Three digits with k, M, G or T."""
    if value is None:
        return NOTHING
    for unit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            scaled = value / unit
            return f"{scaled:{'.3g' if abs(scaled) < 999.5 else '.0f'}}{letter}"
    return f"{value:.3g}"


def p_value(value: float | None) -> str:
    """Four digits, or <0.0001."""
    return NOTHING if value is None else "<0.0001" if value < 0.0001 else f"{value:.4f}"


def interval(effect: VariantEffect | Interaction | None) -> str:
    """−0.0123 … +0.0045"""
    if effect is None or effect.low is None:
        return NOTHING
    return f"{signed(effect.low)} … {signed(effect.high)}"


def verdict(row: VariantRow) -> str:
    """The verdict of a variant as text."""
    if row.verdict == "unresolved":
        needed = row.effect.n_needed if row.effect else None
        return "no significant difference" + (f" (needs about {needed} seeds)" if needed else "")
    if row.verdict in ("withheld", "no inference"):
        return NOT_TESTED
    if row.verdict == "diverged":
        return f"diverged {row.states['diverged']} of {row.divergence.of}"
    if row.verdict == "stopped" and row.stopped:
        return f"stopped at step {row.stopped.step}"
    return row.verdict


def sentences(report: Contents) -> list[str]:
    """The answer, one sentence per verdict."""
    base = report.variants[0].short
    n = len(report.blocks.used)
    seeds = "1 seed" if n == 1 else f"{n} seeds"
    groups: dict[str, list[str]] = {}
    for row in report.variants[1:]:
        key = "withheld" if row.verdict == "no inference" else row.verdict
        groups.setdefault(key, []).append(row.short)
    texts = {
        "better": f"{{}}: better than {base} ({seeds}).",
        "worse": f"{{}}: worse than {base} ({seeds}).",
        "equal": f"{{}}: equal to {base}, within ±{report.margin.percent:g} % ({seeds}).",
        "unresolved": f"No significant difference from {base} for {{}} ({seeds}).",
        "withheld": f"{{}}: {NOT_TESTED}.",
        "diverged": "{}: diverged.",
        "baseline diverged": f"{{}}: not tested ({base} diverged).",
        "stopped": "{}: stopped early.",
        "no finished run": "{}: no finished run.",
    }
    return [
        text.replace("{}", _listed(groups[key])) for key, text in texts.items() if key in groups
    ]


def equality(one: Equality) -> str:
    """How equal a quantity was, with its largest deviation from the baseline."""
    if one.worst_percent is None:
        return "equal" if one.equal else "not equal"
    percent = f"{one.worst_percent:.3g}" if one.worst_percent >= 0.005 else "0"
    return f"equal (max. deviation {percent} %)" if one.equal else f"differs by up to {percent} %"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

"""Numbers and verdicts as a reader sees them, the same in page, Markdown and terminal."""

from lightning_transformer.compare.report.contents import Contents, Equality, VariantRow

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
            return (
                f"{value / unit:.3g}{letter}"
                if abs(value) / unit < 999.5
                else f"{value / unit:.0f}{letter}"
            )
    return f"{value:.3g}"


def p_value(value: float | None) -> str:
    """Four digits, or <0.0001."""
    return NOTHING if value is None else "<0.0001" if value < 0.0001 else f"{value:.4f}"


def verdict(row: VariantRow) -> str:
    """The verdict of a variant, in words."""
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
    seeds = _counted(len(report.blocks.used), "seed")
    groups: dict[str, list[str]] = {}
    for row in report.variants[1:]:
        word = "withheld" if row.verdict == "no inference" else row.verdict
        groups.setdefault(word, []).append(row.short)
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
    return [text.replace("{}", _listed(groups[word])) for word, text in texts.items()
            if word in groups]  # fmt: skip


def equality(one: Equality) -> str:
    """How equal a quantity was, with its largest deviation from the baseline."""
    if one.worst_percent is None:
        return "equal" if one.equal else "not equal"
    percent = f"{one.worst_percent:.3g}" if one.worst_percent >= 0.005 else "0"
    return f"equal (max. deviation {percent} %)" if one.equal else f"differs by up to {percent} %"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

"""Numbers and verdicts as text, the same in page, Markdown and terminal."""

from lightning_transformer.compare.report.contents import (
    Contents,
    Equality,
    Interaction,
    VariantEffect,
    VariantRow,
)
from lightning_transformer.compare.report.further.effects import FurtherEffect
from lightning_transformer.compare.report.inference.statistics import ALPHA

NOTHING = "–"
NOT_TESTED = "not tested (needs at least 3 seeds)"
BETTER_SEED = (
    "the probability that with one more seed the variant's run is better than the baseline's, on "
    "this test text, if differences are normal."
)
VERDICTS = {  # where the text is not the value
    "unchanged": "changed nothing, bit by bit",
    "no spread": "not tested (the same difference in all seeds)",
    "no shared seed": "not tested (no seed in common with the baseline)",
    "baseline diverged": "not tested (the baseline diverged)",
    "no finished baseline": "not tested (the baseline has no finished run)",
}


def number(value: float | None, digits: int = 4) -> str:
    """0.1235, 1,234.0000; an en dash where there is none."""
    return NOTHING if value is None else f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 4) -> str:
    """+0.0123 or −0.0123."""
    return NOTHING if value is None else f"{value:+,.{digits}f}".replace("-", "−")


def count(value: int | None) -> str:
    """1,234"""
    return NOTHING if value is None else f"{value:,}"


def params(row: VariantRow) -> str:
    """1,234, or 1,234 (567 active)"""
    active = "" if row.active_params == row.params else f" ({count(row.active_params)} active)"
    return count(row.params) + active


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


def flops(value: float | None) -> str:
    """1.7e12"""
    if value is None:
        return NOTHING
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits}e{int(power)}"


def p_value(value: float | None) -> str:
    """Four digits, or <0.0001."""
    return NOTHING if value is None else "<0.0001" if value < 0.0001 else f"{value:.4f}"


def probability(value: float | None) -> str:
    """Two digits, or >0.99."""
    if value is None:
        return NOTHING
    return "<0.01" if value < 0.01 else ">0.99" if value > 0.99 else f"{value:.2f}"


def noise(effect: VariantEffect | None) -> str:
    """seeds 0.0040, documents 0.0110: the standard error from each source."""
    found = {} if effect is None else effect.noise
    return ", ".join(f"{name} {number(se)}" for name, se in found.items()) or NOTHING


def interval(effect: VariantEffect | Interaction | FurtherEffect | None) -> str:
    """−0.0123 … +0.0045"""
    if effect is None or effect.low is None:
        return NOTHING
    return f"{signed(effect.low)} … {signed(effect.high)}"


def verdict(row: VariantRow) -> str:
    """The verdict of a variant as text."""
    texts = [_verdict(row)]
    count = row.divergence
    if count.verdict == "too few" and row.verdict != "not comparable":
        texts.append("too few runs to tell whether it diverges more often")
    if count.n and row.verdict != "diverged" and not row.verdict.startswith("diverges"):
        texts.insert(1, f"diverged {count.n} of {count.of}")
    return "; ".join(texts)


def _verdict(row: VariantRow) -> str:
    if row.verdict == "unresolved" and row.effect:
        return _unresolved(row.effect)
    if row.verdict in ("withheld", "no inference"):
        return NOT_TESTED
    if row.verdict in ("diverged", "diverges more", "diverges less"):
        word = {"diverges more": " more often", "diverges less": " less often"}
        p = f" (p {p_value(row.divergence.p_holm)})" if row.verdict in word else ""
        counted = f"{row.divergence.n} of {row.divergence.of}"
        return f"diverged{word.get(row.verdict, '')} {counted}{p}"
    if row.verdict == "stopped" and row.stopped:
        return f"stopped at step {row.stopped.step}"
    if row.verdict == "not comparable":
        return f"not comparable: {row.incomparable}"
    return VERDICTS.get(row.verdict, row.verdict)


def has_sure_sign(effect: VariantEffect) -> bool:
    """Whether there is a difference, be it within the margin."""
    return effect.p_holm is not None and effect.p_holm < ALPHA


def _unresolved(effect: VariantEffect) -> str:
    """What is open, and the difference that would have been seen."""
    sure = has_sure_sign(effect)
    text = "differs, perhaps by less than the margin" if sure else "no significant difference"
    return f"{text} ({_seen(effect)})"


def _seen(effect: VariantEffect) -> str:
    """The smallest difference that would have been called one, with a power of 80 %."""
    share = effect.detectable_percent
    size = number(effect.detectable) if share is None or share >= 100 else f"{share:.2g} %"
    return f"{size} would be seen 4 times in 5"


def sentences(report: Contents) -> list[str]:
    """The answer, one sentence per verdict."""
    base = report.variants[0].short
    groups: dict[str, list[VariantRow]] = {}
    for row in report.variants[1:]:
        key = row.verdict
        if key == "unresolved" and row.effect and has_sure_sign(row.effect):
            key = "sure sign"
        groups.setdefault("withheld" if key == "no inference" else key, []).append(row)
    margin = f"{report.margin.percent:g} %"
    texts = {
        "better": f"{{}}: better than {base} by more than {margin} ({{n}}).",
        "worse": f"{{}}: worse than {base} by more than {margin} ({{n}}).",
        "sure sign": f"{{}}: differs from {base}, perhaps by less than {margin} ({{n}}); {{seen}}.",
        "smaller than the margin": f"{{}}: differs from {base} by less than {margin} ({{n}}).",
        "equal": f"{{}}: equal to {base}, within ±{margin} ({{n}}).",
        "unchanged": f"{{}}: changed nothing; each run has bit by bit the numbers of {base}'s.",
        "unresolved": f"No significant difference from {base} for {{}} ({{n}}); {{seen}}.",
        "no spread": "{}: not tested (the same difference in all seeds: no noise to judge by).",
        "withheld": f"{{}}: {NOT_TESTED}.",
        "not comparable": "{}: not comparable ({why}).",
        "diverges more": f"{{}}: diverged more often than {base}.",
        "diverges less": f"{{}}: diverged less often than {base}.",
        "diverged": "{}: diverged.",
        "baseline diverged": "{}: not tested (the baseline diverged).",
        "no finished baseline": "{}: not tested (the baseline has no finished run).",
        "no shared seed": f"{{}}: not tested (no seed in common with {base}).",
        "stopped": "{}: stopped early.",
        "no finished run": "{}: no finished run.",
    }
    found = [
        _filled(text, groups[key]) for key, text in texts.items() if key in groups
    ]  # fmt: skip
    return found + _unreachable(report)


def marked(report: Contents) -> list[str]:
    """Runs that are no result, and why: those that failed, diverged or have not ended."""
    known = {failure.run for failure in report.failures}  # these are shown with their error
    found = []
    for run in report.runs:
        if run["state"] in ("ok", "missing") or run["folder"] in known:
            continue
        error = f": {run['error']}" if run["error"] else ""
        found.append(f"{run['variant']} seed={run['seed']} {run['state']}{error}")
    return found


def _filled(text: str, rows: list[VariantRow]) -> str:
    """A sentence about variants: their names, seeds, and what would have been seen."""
    effects = [row.effect for row in rows if row.effect]
    n = sorted({effect.n for effect in effects}) or [0]
    seeds = f"{n[0]} seed{'s' * (n[0] != 1)}" if len(n) == 1 else f"{n[0]} to {n[-1]} seeds"
    text = text.replace("{}", listed([row.short for row in rows])).replace("{n}", seeds)
    if "{seen}" in text:
        seen = max(effects, key=lambda effect: effect.detectable or 0.0)
        text = text.replace("{seen}", _seen(seen))
    return text.replace("{why}", rows[0].incomparable or "")


def _unreachable(report: Contents) -> list[str]:
    """That the margin is too narrow for these runs to show equality within it."""
    within, margin = report.margin.within_percent, report.margin.percent
    open_ = any(row.verdict == "unresolved" for row in report.variants)
    if within is None or within <= margin or not open_:
        return []
    return [
        f"Equality within ±{margin:g} % is out of reach of these runs: their noise allows "
        f"±{within:.2g} %."
    ]


def equality(one: Equality) -> str:
    """How equal a quantity was, with its largest deviation from the baseline."""
    if one.worst_percent is None:
        return "equal" if one.equal else "not equal"
    percent = f"{one.worst_percent:.3g}" if one.worst_percent >= 0.005 else "0"
    return f"equal (max. deviation {percent} %)" if one.equal else f"differs by up to {percent} %"


def listed(names: list[str]) -> str:
    """a, b and c; with semicolons where a name has a comma."""
    if len(names) == 1:
        return names[0]
    comma, last = ("; ", "; and ") if any("," in name for name in names) else (", ", " and ")
    return f"{comma.join(names[:-1])}{last}{names[-1]}"

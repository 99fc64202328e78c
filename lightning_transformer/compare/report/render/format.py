"""Numbers and verdicts as a reader sees them, the same in page, Markdown and terminal."""

import math
from collections.abc import Iterable
from typing import Any

NOTHING = "–"
SIGNS = {"better": "better", "worse": "worse", "equal": "equal", "withheld": "verdict withheld"}


def number(value: float | None, digits: int = 4) -> str:
    """0.1235, 1,234.0000; an en dash where there is none."""
    return NOTHING if value is None else f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 4) -> str:
    """+0.0123 or −0.0123."""
    return NOTHING if value is None else f"{value:+,.{digits}f}".replace("-", "−")


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


def verdict(row: dict[str, Any]) -> str:
    """The verdict of a variant, in words."""
    word, effect, states = row["verdict"], row["effect"], row["states"]
    if word == "unresolved":
        needed = effect["n_needed"]
        return f"unresolved – needs about {needed} seeds" if needed else "unresolved"
    if word == "withheld":
        return "withheld: two seeds"
    if word == "no inference":
        return "no inference: one seed"
    if word == "diverged":
        return f"diverged {states['diverged']} of {row['divergence']['of']}"
    if word == "stopped":
        return f"stopped at step {row['stopped']['step']}"
    return str(word)


def sentences(content: dict[str, Any]) -> list[str]:
    """The answer, one sentence per verdict."""
    base = content["variants"][0]["short"]
    groups: dict[str, list[str]] = {}
    for row in content["variants"][1:]:
        groups.setdefault(row["verdict"], []).append(row["short"])
    said = {
        "better": f"better than {base}",
        "worse": f"worse than {base}",
        "equal": f"equal to {base}, within ±{content['margin']['percent']:g} %",
        "unresolved": "unresolved: the seeds do not settle it",
        "withheld": "without a verdict, because two seeds are too few",
        "no inference": "without inference, because one seed says nothing about noise",
        "diverged": "diverging",
        "baseline diverged": f"without a verdict, because {base} diverged",
        "stopped": "stopped early",
        "no finished run": "without a finished run",
    }
    return [f"{_listed(groups[word])}: {text}." for word, text in said.items() if word in groups]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def ticks(low: float, high: float, n: int = 5) -> list[float]:
    """Round numbers within an interval."""
    if not high > low:
        return [low]
    raw = (high - low) / n
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= raw)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_text(value: float, step: float) -> str:
    """A tick's number, with as many digits as the step needs."""
    if abs(value) >= 10_000 and step >= 100:
        return short(value)
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 2
    return number(0.0 if abs(value) < step / 1e6 else value, digits)


def clipped(text: str, n: int) -> str:
    """A long name, cut in its middle."""
    return text if len(text) <= n else f"{text[: n - n // 3 - 1]}…{text[-(n // 3) :]}"


def extent(values: Iterable[float | None], margin: float = 0.05) -> tuple[float, float]:
    """Smallest and largest, with room around."""
    known = [v for v in values if v is not None]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    # where all are alike there is no span to take a share of
    room = (high - low) * margin if high > low else abs(high) * 0.05 or 1.0
    return low - room, high + room

"""What the intervals of a report hold for: other seeds, and other test text or this one alone."""

from collections.abc import Sequence

from lightning_transformer.compare.report.contents import Contents, VariantRow
from lightning_transformer.compare.report.render.numbers import listed
from lightning_transformer.compare.report.sources.documents import OtherText

MOST = 3  # names in a sentence


def scope(report: Contents) -> list[str]:
    """What the verdicts are about, and where more seeds would not help."""
    rows = [row for row in report.variants if row.effect and row.effect.noise and row.other_text]
    groups: dict[str, list[VariantRow]] = {}
    for row in rows:
        if row.other_text:
            groups.setdefault(row.other_text.missing, []).append(row)
    found = []
    for missing, some in groups.items():
        whose = "The intervals are"
        if len(groups) > 1:
            some_or_one = "interval of {} is" if len(some) == 1 else "intervals of {} are"
            whose = f"The {some_or_one.format(_short(some))}"
        if missing:
            found.append(
                f"{whose} for other seeds on this very test text, not for other text: {missing}."
            )
        else:
            text = some[0].other_text
            found.append(f"{whose} for other seeds and other text of this kind ({_size(text)}).")
    return found + _beyond_seeds(rows)


def _beyond_seeds(rows: Sequence[VariantRow]) -> list[str]:
    """Which undecided differences more seeds would hardly help to decide."""
    groups: dict[str, list[VariantRow]] = {}
    for row in rows:
        if row.verdict == "unresolved" and row.effect:
            largest = max(row.effect.noise, key=row.effect.noise.__getitem__)
            groups.setdefault(largest, []).append(row)
    groups.pop("seeds", None)
    found = []
    for name, some in groups.items():
        part = f"the choice of the {name}"
        if name == "documents":
            part = f"the test text ({_size(some[0].other_text)})"
        found.append(
            f"More seeds would help little for {_short(some)}: {part} makes the larger "
            "part of the uncertainty."
        )
    return found


def _size(text: OtherText | None) -> str:
    """26 documents, 4.5 effective"""
    if text is None or text.documents is None or text.effective is None:
        return "documents not counted"
    if text.documents - text.effective < 0.05 * text.documents:
        return f"{text.documents:,} documents"
    return f"{text.documents:,} documents, {text.effective:.1f} effective"


def _short(rows: Sequence[VariantRow]) -> str:
    names = [row.short for row in rows]
    return listed(names if len(names) <= MOST else [*names[:MOST], f"{len(names) - MOST} more"])

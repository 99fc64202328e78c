r"""The table of variants for a paper, in LaTeX with booktabs."""

from lightning_transformer.compare.report.contents import Contents, VariantRow
from lightning_transformer.compare.report.inference.statistics import ALPHA
from lightning_transformer.compare.report.render import numbers

# What means something in LaTeX, or is not in the fonts of every one.
SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$",
    "±": r"$\pm$", "−": "$-$", "–": "--", "…": r"\ldots{}", "Δ": r"$\Delta$", "×": r"$\times$",
}  # fmt: skip


def latex(report: Contents) -> str:
    r"""A tabular with label, mean and SD, difference with its interval, Holm's p and verdict.

    Needs \usepackage{booktabs}. Special characters are escaped.
    """
    percent = f"{100 * (1 - ALPHA):g}"
    head = [
        escape(" and ".join(report.by) or "variant"),
        escape(report.metric),
        rf"$\Delta$ [{percent}\,\% interval]",
        "$p$ (Holm)",
        "verdict",
    ]
    lines = [f"% {one.name}: {_comment(one.value)}" for one in report.head]
    lines += [
        "% needs \\usepackage{booktabs}",
        r"\begin{tabular}{lrrrl}",
        r"\toprule",
        _row(head),
        r"\midrule",
        *(_row(_cells(row)) for row in report.variants),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text as LaTeX shows it, on one line."""
    return "".join(SPECIAL.get(character, character) for character in " ".join(text.split()))


def _cells(row: VariantRow) -> list[str]:
    spread = "" if row.sd is None else f" $\\pm$ {_plain(row.sd)}"
    mean = "--" if row.mean is None else f"{_plain(row.mean)}{spread}"
    return [escape(row.short), mean, _effect(row), _p(row), escape(numbers.verdict(row))]


def _effect(row: VariantRow) -> str:
    effect = row.effect
    if effect is None:
        return ""
    interval = ""
    if effect.low is not None and effect.high is not None:
        interval = f" [{_signed(effect.low)}, {_signed(effect.high)}]"
    return f"{_signed(effect.delta)}{interval}"


def _p(row: VariantRow) -> str:
    p = row.effect.p_holm if row.effect else None
    return "" if p is None else escape(numbers.p_value(p))


def _plain(value: float) -> str:
    return escape(numbers.number(value))


def _signed(value: float) -> str:
    return f"${value:+.4f}$"


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _comment(text: str) -> str:
    return " ".join(text.split())

"""Colours of a report, light and dark, told apart by colour-blind eyes (Okabe and Ito 2008)."""

LIGHT = {
    "ink": "#1d2126", "quiet": "#666d76", "rule": "#dfe2e6", "paper": "#ffffff", "band": "#eef1f4",
    "accent": "#0067a5", "bad": "#b3261e",
    "s0": "#1d2126", "s1": "#0072b2", "s2": "#c65300", "s3": "#008a65", "s4": "#b3578b",
    "s5": "#8a6d00", "s6": "#3d95cc", "s7": "#7455a8",
}  # fmt: skip
DARK = {
    "ink": "#e6e8eb", "quiet": "#9aa2ac", "rule": "#33383f", "paper": "#15181c", "band": "#20252b",
    "accent": "#6cb8ec", "bad": "#ff8a80",
    "s0": "#e6e8eb", "s1": "#56a8e0", "s2": "#ff9257", "s3": "#2fc79a", "s4": "#e59ac6",
    "s5": "#d9b43c", "s6": "#a3d5f5", "s7": "#b9a2e6",
}  # fmt: skip
N_SERIES = 7  # beside the baseline; after these the lines are dashed


def series_class(index: int) -> str:
    """The class of a variant's marks: the baseline is ink, others go through the colours."""
    if index == 0:
        return "s0"
    return f"s{(index - 1) % N_SERIES + 1}" + (" dashed" if index > N_SERIES else "")


def variables(colours: dict[str, str]) -> str:
    """The colours as CSS."""
    return "".join(f"--{name}:{value};" for name, value in sorted(colours.items()))


PLOT_CSS = (
    "svg{font:12px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;"
    "font-variant-numeric:tabular-nums;fill:var(--ink)}"
    "svg .line{fill:none;stroke-width:1.8;stroke-linejoin:round}"
    "svg .whisker{stroke-width:2}svg .thin{stroke-width:.9}"
    "svg .area{opacity:.16;stroke:none}svg .dashed{stroke-dasharray:5 3}"
    "svg .grid{stroke:var(--rule);stroke-width:1}svg .axis{stroke:var(--quiet);stroke-width:1}"
    "svg .quiet{fill:var(--quiet)}svg .small{font-size:11px}svg .band{fill:var(--band)}"
    "svg .bold{font-weight:600}svg .bad{fill:var(--bad)}svg .seed{opacity:.45}"
    + "".join(
        f"svg .s{i}{{stroke:var(--s{i})}}svg text.s{i},svg .area.s{i},svg .dot.s{i}"
        f"{{fill:var(--s{i});stroke:none}}"
        for i in range(N_SERIES + 1)
    )
)

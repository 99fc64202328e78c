"""Colours of a report, light and dark, distinct for colour-blind eyes (Okabe and Ito 2008)."""

LIGHT = {
    "ink": "#1d2126", "quiet": "#666d76", "rule": "#dfe2e6", "paper": "#ffffff", "band": "#eef1f4",
    "bad": "#b3261e",
    "s1": "#0072b2", "s2": "#c65300", "s3": "#008a65", "s4": "#b3578b", "s5": "#8a6d00",
    "s6": "#3d95cc", "s7": "#7455a8",
}  # fmt: skip
DARK = {
    "ink": "#e6e8eb", "quiet": "#9aa2ac", "rule": "#33383f", "paper": "#15181c", "band": "#2a3038",
    "bad": "#ff8a80",
    "s1": "#56a8e0", "s2": "#ff9257", "s3": "#2fc79a", "s4": "#e59ac6", "s5": "#d9b43c",
    "s6": "#a3d5f5", "s7": "#b9a2e6",
}  # fmt: skip
SERIES = tuple(name for name in LIGHT if name[1:].isdigit())  # of variants; the baseline is ink


def variables(colours: dict[str, str]) -> str:
    """The colours as CSS variables of the page."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())


def dark_for_light() -> dict[str, str]:
    """Colour of a plot to the colour that replaces it on a dark page."""
    return {LIGHT[name]: DARK[name] for name in LIGHT}

"""A drawing of lines, areas, dots and words, written as SVG for the page, as PNG for the rest."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from lightning_transformer.compare.report.render.palette import DARK, LIGHT, PLOT_CSS, variables

Points = Sequence[tuple[float, float]]
WIDTHS = {"line": 1.8, "whisker": 2.0, "thin": 0.9, "grid": 1.0, "axis": 1.0}


@dataclass
class Canvas:
    """Marks in pixels, y downwards; what they look like is told by class names."""

    width: float
    height: float
    title: str
    marks: list[tuple[str, Any, str, dict[str, Any]]] = field(default_factory=list)

    def path(self, points: Points, names: str) -> None:
        """A line through points."""
        self.marks.append(("path", [tuple(p) for p in points], names, {}))

    def area(self, points: Points, names: str) -> None:
        """A filled polygon."""
        self.marks.append(("area", [tuple(p) for p in points], names, {}))

    def dot(self, x: float, y: float, names: str, r: float = 3.5, data: str = "",
            value: float | None = None) -> None:  # fmt: skip
        """A disc; data: the place of its number in report.json."""
        self.marks.append(("dot", (x, y, r), names, {"data": data, "value": value}))

    def text(self, x: float, y: float, words: str, names: str = "", anchor: str = "start",
             data: str = "") -> None:  # fmt: skip
        """Words, y their baseline; data: the place in report.json of the number that they say."""
        self.marks.append(("text", (x, y, words, anchor), names, {"data": data}))

    def place(self, other: "Canvas", x: float, y: float) -> None:
        """Put another drawing into this one."""
        for kind, shape, names, more in other.marks:
            if kind in ("path", "area"):
                shape = [(px + x, py + y) for px, py in shape]
            else:
                shape = (shape[0] + x, shape[1] + y, *shape[2:])
            self.marks.append((kind, shape, names, more))

    def svg(self, *, alone: bool = False) -> str:
        """SVG; alone: with its own colours, to stand in a file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'role="img" aria-label="{escape(self.title)}"'
        )
        if alone:
            head += f' width="{self.width:g}" height="{self.height:g}"'
        style = (
            f"<style>svg{{{variables(LIGHT)}background:var(--paper)}}"
            f"@media(prefers-color-scheme:dark){{svg{{{variables(DARK)}}}}}{PLOT_CSS}</style>"
        )
        return f"{head}>{style if alone else ''}{''.join(map(_svg, self.marks))}</svg>"

    def png(self, scale: int = 2) -> bytes:
        """PNG in the light colours."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.width / 100, self.height / 100), dpi=100 * scale)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, self.width)
        axes.set_ylim(self.height, 0)
        axes.axis("off")
        for mark in self.marks:
            _draw(axes, mark)
        stream = io.BytesIO()
        # Lines and letters are small at any level, and the best takes seconds for a tall picture.
        plain = {"compress_level": 3}
        figure.savefig(stream, format="png", metadata={"Software": None}, pil_kwargs=plain)
        return stream.getvalue()


def _svg(mark: tuple[str, Any, str, dict[str, Any]]) -> str:
    kind, shape, names, more = mark
    data = f' data-path="{escape(more["data"])}"' if more.get("data") else ""
    if kind == "path":
        d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in shape)
        return f'<path class="{names}" d="{d}"/>'
    if kind == "area":
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape)
        return f'<polygon class="{names}" points="{points}"/>'
    if kind == "dot":
        value = "" if more.get("value") is None else f' data-value="{more["value"]!r}"'
        x, y, r = shape
        return f'<circle class="dot {names}" cx="{x:.1f}" cy="{y:.1f}" r="{r:g}"{data}{value}/>'
    x, y, words, anchor = shape
    return (
        f'<text class="{names}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{data}>'
        f"{escape(words)}</text>"
    )


def _draw(axes: Any, mark: tuple[str, Any, str, dict[str, Any]]) -> None:
    kind, shape, names, _ = mark
    words = names.split()
    series = next((name for name in words if name in LIGHT and name[0] == "s"), None)
    colour = LIGHT[series or next((n for n in words if n in ("quiet", "bad", "band")), "ink")]
    if kind == "path":
        if "grid" in words:
            colour = LIGHT["rule"]
        elif "axis" in words:
            colour = LIGHT["quiet"]
        width = next((WIDTHS[name] for name in words if name in WIDTHS), 1.0)
        dashes = (0, (4, 2.5)) if "dashed" in words else "-"
        axes.plot(*zip(*shape, strict=True), color=colour, linewidth=width * 0.72, linestyle=dashes)
    elif kind == "area":
        alpha = 0.16 if "area" in words else 1.0
        axes.fill(*zip(*shape, strict=True), color=colour, alpha=alpha, linewidth=0)
    elif kind == "dot":
        x, y, r = shape
        alpha = 0.45 if "seed" in words else 1.0
        axes.plot([x], [y], "o", color=colour, markersize=r * 1.44, alpha=alpha, markeredgewidth=0)
    else:
        x, y, text, anchor = shape
        axes.text(
            x, y, text.replace("$", r"\$"), color=colour, fontsize=7.4 if "small" in words else 8,
            ha={"start": "left", "middle": "center", "end": "right"}[anchor], va="baseline",
            fontweight="bold" if "bold" in words else "normal",
        )  # fmt: skip

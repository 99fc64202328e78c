"""Accuracy by place or by length, as a file and as a picture with the floor in it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from lightning_transformer.runs.atomic import write_atomically


def write_shares(folder: Path, name: str, counts: np.ndarray, floor: float | None) -> bytes:
    """Write NAME.csv and NAME.png; return the picture.

    counts (n, 2): how many were right, and all, by number from 0 on; those without any are left
    out. floor: the best accuracy that there can be, drawn as a line.
    """
    there = np.flatnonzero(counts[:, 1])
    rows = [(int(i), float(counts[i, 0] / counts[i, 1]), int(counts[i, 1])) for i in there]
    lines = ["number,accuracy,n", *(f"{number},{share:.6g},{n}" for number, share, n in rows)]
    write_atomically(folder / f"{name}.csv", "\n".join(lines) + "\n")
    picture = draw(specification(name, rows, floor))
    write_atomically(folder / f"{name}.png", picture)
    return picture


def draw(plot: dict[str, Any]) -> bytes:
    """A PNG of a plot in Vega-Lite."""
    import vl_convert  # a second, for those runs alone that have pictures

    picture: bytes = vl_convert.svg_to_png(vl_convert.vegalite_to_svg(json.dumps(plot)), scale=2)
    return picture


def specification(
    name: str, rows: list[tuple[int, float, int]], floor: float | None
) -> dict[str, Any]:
    """The picture in Vega-Lite."""
    points = [{"number": number, "accuracy": share, "n": n} for number, share, n in rows]
    y = {"field": "accuracy", "type": "quantitative", "scale": {"domain": [0, 1]}}
    x = {"field": "number", "type": "quantitative", "title": name.removeprefix("by_")}
    line = {"type": "line", "point": True}
    layers: list[dict[str, Any]] = [
        {"data": {"values": points}, "mark": line, "encoding": {"x": x, "y": y}}
    ]
    if floor is not None:
        rule = {"type": "rule", "strokeDash": [4, 4]}
        at = {"y": {"field": "accuracy", "type": "quantitative"}}
        layers.append({"data": {"values": [{"accuracy": floor}]}, "mark": rule, "encoding": at})
    return {"title": f"test accuracy {name.replace('_', ' ')}", "width": 320, "layer": layers}

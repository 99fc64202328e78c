"""The plots of a report, drawn from its numbers."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from lightning_transformer.compare.report.render.format import (
    clipped,
    extent,
    signed,
    tick_text,
    ticks,
)
from lightning_transformer.compare.report.render.palette import series_class
from lightning_transformer.compare.report.render.svg import Canvas

Scale = Callable[[float], float]


def _linear(low: float, high: float, a: float, b: float) -> Scale:
    return lambda value: a + (value - low) / (high - low or 1.0) * (b - a)


def classes(content: dict[str, Any]) -> dict[str, str]:
    """Variant to the class of its marks; by name, so that it keeps its colour."""
    base = content["baseline"]["variant"]
    rest = sorted(row["variant"] for row in content["variants"] if row["variant"] != base)
    return {label: series_class(i) for i, label in enumerate([base, *rest])}


def names(content: dict[str, Any], n: int = 16) -> dict[str, str]:
    """Variant to a name that fits beside a line."""
    return {row["variant"]: clipped(row["short"], n) for row in content["variants"]}


MOST = 40  # variants, the best, where each has a row or a panel of its own
FAR = 20.0  # times the next variant's difference: not on the same scale


def forest(content: dict[str, Any], width: int = 880) -> Canvas | None:
    """Difference of every variant, 95 % interval, every seed a dot, the region of no interest."""
    rows = [(i, row) for i, row in enumerate(content["variants"]) if row["effect"]]
    if not rows:
        return None
    rows, more = rows[:MOST], len(rows) - MOST
    narrow = width < 600
    left, right = (8, width - 8) if narrow else (210, width - 214)
    pitch, top = (46, 26) if narrow else (32, 26)
    bottom = top + pitch * len(rows)
    canvas = Canvas(width, bottom + 42, f"Difference in {content['metric']} from the baseline")
    margin = content["margin"]["absolute"]
    low, high = _forest_extent([row for _, row in rows], margin)
    x = _linear(low, high, left, right)
    clip = lambda value: min(max(x(value), left), right)  # noqa: E731
    canvas.area(
        [
            (clip(-margin), top),
            (clip(margin), top),
            (clip(margin), bottom),
            (clip(-margin), bottom),
        ],
        "band",
    )
    marks = ticks(low, high, 3 if narrow else 6)
    for tick in marks:
        canvas.path([(x(tick), top), (x(tick), bottom)], "grid")
        canvas.text(x(tick), bottom + 16, _tick(tick, marks), "quiet small tick", "middle")
    canvas.path([(x(0), top), (x(0), bottom)], "axis")
    lower = content["better"] == "lower"
    canvas.text(left, 14, "← better" if lower else "← worse", "quiet small")
    canvas.text(right, 14, "worse →" if lower else "better →", "quiet small", "end")
    canvas.text(
        (left + right) / 2,
        bottom + 35,
        f"{content['metric']}, difference from {content['variants'][0]['short'][:24]}"
        + (f"; {more} more in the table" if more > 0 else ""),
        "quiet small",
        "middle",
    )
    for place, (i, row) in enumerate(rows):
        y = top + pitch * place + (31 if narrow else pitch / 2)
        _forest_row(canvas, i, row, y, (left, right), clip, narrow)
    return canvas


def _tick(tick: float, marks: Sequence[float]) -> str:
    return tick_text(tick, marks[1] - marks[0] if len(marks) > 1 else abs(tick) or 1)


def _forest_extent(rows: Sequence[dict[str, Any]], margin: float) -> tuple[float, float]:
    """All dots and intervals; of these only what is not far beyond the dots (two seeds).

    A variant that is FAR times as far off as the next one is left out, or the others would lie on
    one spot: its marks stand at the edge.
    """
    rows = sorted(rows, key=lambda row: abs(row["effect"]["delta"]))
    while len(rows) > 2 and abs(rows[-1]["effect"]["delta"]) > FAR * max(
        abs(rows[-2]["effect"]["delta"]), margin
    ):
        rows = rows[:-1]
    dots = [d for row in rows for d in row["differences"].values()] + [-margin, margin, 0.0]
    low, high = min(dots), max(dots)
    span = high - low or 1.0
    ends = [row["effect"][end] for row in rows for end in ("low", "high")]
    near = [end for end in ends if end is not None and low - span < end < high + span]
    return extent([low, high, *near], 0.04)


def _forest_row(
    canvas: Canvas,
    i: int,
    row: dict[str, Any],
    y: float,
    edges: tuple[float, float],
    clip: Scale,
    narrow: bool,
) -> None:
    effect, place = row["effect"], f"/variants/{i}/effect"
    colour = {"better": "s1", "worse": "s2"}.get(row["verdict"], "s0")
    name_at = (edges[0], y - 13) if narrow else (edges[0] - 14, y + 4)
    canvas.text(*name_at, clipped(row["short"], 28), "bold", "start" if narrow else "end")
    if row["other_text"]:
        low, high = row["other_text"]
        canvas.path([(clip(low), y + 6), (clip(high), y + 6)], f"line thin {colour}")
    if effect["low"] is not None:
        canvas.path([(clip(effect["low"]), y), (clip(effect["high"]), y)], f"line whisker {colour}")
    for seed, d in sorted(row["differences"].items()):
        canvas.dot(clip(d), y, f"seed {colour}", 3, f"/variants/{i}/differences/{seed}", d)
    canvas.dot(clip(effect["delta"]), y, colour, 5, f"{place}/delta", effect["delta"])
    if clip(effect["delta"]) in edges:
        end, back = clip(effect["delta"]), -7 if clip(effect["delta"]) == edges[1] else 7
        canvas.path([(end + back, y - 7), (end, y), (end + back, y + 7)], f"line {colour}")
    at = edges[1] if narrow else edges[1] + 14
    canvas.text(
        at,
        name_at[1] if narrow else y + 4,
        signed(effect["delta"]),
        "bold",
        "end" if narrow else "start",
        f"{place}/delta",
    )
    if not narrow:
        canvas.text(at + 80, y + 4, row["verdict"], "quiet")


def _frame(
    canvas: Canvas,
    xs: tuple[float, float],
    ys: tuple[float, float],
    box: Sequence[float],
    caption: str,
    log_x: bool = False,
) -> tuple[Scale, Scale]:
    """Axes with ticks; box: left, top, right, bottom. Returns the two scales."""
    left, top, right, bottom = box
    y = _linear(*ys, bottom, top)
    low, high = (math.log10(xs[0]), math.log10(xs[1])) if log_x else xs
    raw = _linear(low, high, left, right)
    x: Scale = (lambda value: raw(math.log10(value))) if log_x else raw
    y_ticks = ticks(*ys, 4)
    for tick in y_ticks:
        canvas.path([(left, y(tick)), (right, y(tick))], "grid")
        canvas.text(left - 6, y(tick) + 4, _tick(tick, y_ticks), "quiet small tick", "end")
    x_ticks = (
        [10.0**k for k in range(math.ceil(low), math.floor(high) + 1)] if log_x else ticks(*xs, 4)
    )
    for tick in x_ticks:
        text = f"{tick:g}" if log_x else _tick(tick, x_ticks)
        canvas.text(x(tick), bottom + 16, text, "quiet small tick", "middle")
    canvas.path([(left, bottom), (right, bottom)], "axis")
    canvas.text((left + right) / 2, bottom + 33, caption, "quiet small", "middle")
    return x, y


def _spread(wanted: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """Places near the wanted ones, apart by the gap."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    places, last = [0.0] * len(wanted), top - gap
    for i in order:
        last = places[i] = max(wanted[i], last + gap)
    limit = bottom
    for i in reversed(order):
        places[i] = min(places[i], limit)
        limit = places[i] - gap
    return places


def loss_curves(content: dict[str, Any], axis: str) -> Canvas | None:
    """Mean loss of each variant over tokens or seconds, named at its end."""
    lines = (content["curves"] or {}).get(axis)
    if not lines:
        return None
    canvas = Canvas(440, 300, f"{content['curves']['series']} over {axis}")
    colour, name = classes(content), names(content)
    ends = [line["mean"][-1] for line in lines]
    low = min(min(line["mean"]) for line in lines)
    start = sorted(line["mean"][max(1, len(line["mean"]) // 12)] for line in lines)
    ys = extent([low, max([*ends, start[-1]])], 0.05)
    xs = (0.0, max(line["x"][-1] for line in lines))
    caption = "training tokens" if axis == "tokens" else "seconds of training"
    x, y = _frame(canvas, xs, ys, (46, 24, 322, 256), caption)
    canvas.text(8, 12, content["curves"]["series"], "quiet small")
    places = _spread([y(end) + 4 for end in ends], 13, 28, 262)
    for line, place in zip(lines, places, strict=True):
        points = [(x(a), y(b)) for a, b in zip(line["x"], line["mean"], strict=True) if b <= ys[1]]
        if len(points) > 1:
            canvas.path(points, f"line {colour[line['variant']]}")
        canvas.text(330, place, name[line["variant"]], f"small {colour[line['variant']]}")
    return canvas


def difference_panels(content: dict[str, Any], axis: str) -> list[Canvas]:
    """One small plot per variant: paired difference from the baseline, with its interval."""
    lines = [line for line in (content["curves"] or {}).get(axis, []) if "difference" in line]
    lines = lines[:MOST]
    if not lines:
        return []
    colour, name = classes(content), names(content, 26)
    later = [line["difference"] for line in lines]
    skip = [max(1, len(d["x"]) // 6) for d in later]  # the start would set the scale
    seen = [v for d, n in zip(later, skip, strict=True) for v in d["mean"][n:]]
    low, high = extent([*seen, 0.0], 0.0)
    ys = (low - 0.5 * (high - low), high + 0.5 * (high - low))
    ys = extent(
        [
            min(max(v, ys[0]), ys[1])
            for d, n in zip(later, skip, strict=True)
            for end in ("low", "high")
            for v in d.get(end, d["mean"])[n:]
        ]
        + [low, high, 0.0]
    )
    panels = []
    for line in lines:
        d, own = line["difference"], colour[line["variant"]]
        canvas = Canvas(290, 180, f"Difference of {line['variant']} over {axis}")
        caption = "training tokens" if axis == "tokens" else "seconds"
        x, y = _frame(canvas, (0.0, d["x"][-1] or 1.0), ys, (52, 26, 278, 140), caption)
        hold = lambda value, y=y: min(max(y(value), 26), 140)  # noqa: E731
        canvas.path([(52, y(0)), (278, y(0))], "axis")
        if "low" in d:
            lower = [(x(a), hold(b)) for a, b in zip(d["x"], d["low"], strict=True)]
            upper = [(x(a), hold(b)) for a, b in zip(d["x"], d["high"], strict=True)]
            canvas.area([*lower, *reversed(upper)], f"area {own}")
        canvas.path(
            [(x(a), hold(b)) for a, b in zip(d["x"], d["mean"], strict=True)], f"line {own}"
        )
        canvas.text(52, 15, name[line["variant"]], f"bold {own}")
        panels.append(canvas)
    return panels


def pareto(content: dict[str, Any], key: str, caption: str) -> Canvas | None:
    """Quality against a cost, with the front that no variant beats in both."""
    found = [
        (i, row)
        for i, row in enumerate(content["variants"])
        if row["mean"] is not None and row.get(key)
    ]
    if len(found) < 2 or len({row[key] for _, row in found}) < 2:
        return None
    canvas = Canvas(440, 300, f"{content['metric']} against {caption}")
    colour, name = classes(content), names(content, 18)
    xs, ys = (extent((row[k] for _, row in found), 0.14) for k in (key, "mean"))
    x, y = _frame(canvas, xs, ys, (46, 24, 426, 256), caption)
    canvas.text(8, 12, content["metric"], "quiet small")
    sign = 1 if content["better"] == "lower" else -1
    front: list[Any] = []
    best = math.inf
    for _, row in sorted(found, key=lambda pair: (pair[1][key], sign * pair[1]["mean"])):
        if sign * row["mean"] < best:
            if front:
                front.append((x(row[key]), front[-1][1]))
            best = sign * row["mean"]
            front.append((x(row[key]), y(row["mean"])))
    front.append((426, front[-1][1]))
    canvas.path(front, "axis dashed line")
    places = _spread([y(row["mean"]) - 6 for _, row in found], 13, 26, 252)
    for (i, row), place in zip(found, places, strict=True):
        own, at = colour[row["variant"]].split()[0], x(row[key])
        canvas.dot(at, y(row["mean"]), own, 4.5, f"/variants/{i}/mean", row["mean"])
        anchor = "end" if at > 300 else "start"
        canvas.text(
            at + (-8 if anchor == "end" else 8), place, name[row["variant"]], f"small {own}", anchor
        )
    return canvas


def learning_rates(content: dict[str, Any]) -> Canvas | None:
    """Loss over learning rate; a rate at which a variant diverged is a cross at the top."""
    found = content["learning_rates"]
    if not found or all(len(line["rates"]) < 2 for line in found["curves"]):
        return None
    canvas = Canvas(440, 300, "Loss over learning rate")
    colour, name = classes(content), names(content)
    rates = [rate for line in found["curves"] for rate in line["rates"]]
    losses = [loss for line in found["curves"] for loss in line["losses"]]
    if all(loss is None for loss in losses):
        return None
    ys = extent(losses, 0.1)
    x, y = _frame(
        canvas,
        (min(rates) / 1.25, max(rates) * 1.25),
        ys,
        (46, 24, 322, 256),
        f"{found['key']}, logarithmic",
        log_x=True,
    )
    canvas.text(8, 12, found["metric"], "quiet small")
    extra = [line["variant"] for line in found["curves"] if line["variant"] not in colour]
    for i, label in enumerate(extra):
        colour[label] = series_class(i)
        name[label] = clipped(label.partition("=")[2] or label, 16)
    for rate in sorted(set(rates)):
        canvas.path([(x(rate), 256), (x(rate), 260)], "axis")
        if 10 ** round(math.log10(rate)) != rate:
            canvas.text(x(rate), 250, f"{rate:g}", "quiet small tick", "middle")
    ends: list[float] = []
    for line in found["curves"]:
        own = colour[line["variant"]]
        points = [
            (x(r), y(v))
            for r, v in zip(line["rates"], line["losses"], strict=True)
            if v is not None
        ]
        if points:
            canvas.path(points, f"line {own}")
        for a, b in points:
            canvas.dot(a, b, own.split()[0], 3)
        for r, v in zip(line["rates"], line["losses"], strict=True):
            if v is None:
                canvas.text(x(r), 30, "×", own, "middle")
        ends.append(points[-1][1] + 4 if points else 34.0)
    for line, place in zip(found["curves"], _spread(ends, 13, 28, 250), strict=True):
        canvas.text(330, place, name[line["variant"]], f"small {colour[line['variant']]}")
    return canvas


def rank_lines(content: dict[str, Any]) -> Canvas | None:
    """The rank of each variant at a quarter, half and all of the budget."""
    found = content["ranks"]
    if not found:
        return None
    rows = found["rows"]
    colour, name = classes(content), names(content, 18)
    canvas = Canvas(440, 40 + 22 * len(rows), "Rank over the budget")
    xs = (60.0, 170.0, 280.0)
    for x, share in zip(xs, found["shares_percent"], strict=True):
        canvas.text(x, 14, f"{share:g} %", "quiet small tick", "middle")
    for row in rows:
        own = colour[row["variant"]]
        points = [(x, 18 + 22 * rank) for x, rank in zip(xs, row["ranks"], strict=True)]
        canvas.path(points, f"line {own}")
        for point in points:
            canvas.dot(*point, own.split()[0], 4)
        canvas.text(294, points[-1][1] + 4, name[row["variant"]], f"small {own}")
    return canvas


def all_plots(content: dict[str, Any]) -> dict[str, Canvas]:
    """File name to plot, of those that there is something to draw for."""
    found: dict[str, Canvas | None] = {
        "forest": forest(content),
        "loss_tokens": loss_curves(content, "tokens"),
        "loss_seconds": loss_curves(content, "seconds"),
        "difference_tokens": _together(difference_panels(content, "tokens")),
        "difference_seconds": _together(difference_panels(content, "seconds")),
        **{f"pareto_{key}": pareto(content, key, caption) for key, caption in COSTS},
        "learning_rates": learning_rates(content),
        "ranks": rank_lines(content),
    }
    return {name: canvas for name, canvas in found.items() if canvas is not None}


COSTS = (
    ("seconds", "seconds of training"),
    ("flops_per_token", "training FLOPs per token"),
    ("memory_mib", "peak memory, MiB"),
)


def _together(panels: Sequence[Canvas], columns: int = 3) -> Canvas | None:
    if not panels:
        return None
    n = min(columns, len(panels))
    width, height = panels[0].width, panels[0].height
    canvas = Canvas(width * n, height * math.ceil(len(panels) / n), "Paired differences")
    for i, panel in enumerate(panels):
        canvas.place(panel, width * (i % n), height * (i // n))
    return canvas

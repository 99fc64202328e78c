"""The report as one page that needs nothing else: no script, no request, light and dark."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from lightning_transformer.compare.report.render import format, plots
from lightning_transformer.compare.report.render.palette import DARK, LIGHT, PLOT_CSS, variables
from lightning_transformer.compare.report.render.svg import Canvas

CSS = Path(__file__).with_name("page.css")


def page(content: dict[str, Any]) -> str:
    """The whole page. A number carries its place in report.json as data-path."""
    style = (
        f":root{{{variables(LIGHT)}}}@media(prefers-color-scheme:dark){{:root{{{variables(DARK)}}}}}"
        f"{CSS.read_text(encoding='utf-8')}{PLOT_CSS}"
    )
    parts = [
        _head(content), _forest(content), _table(content), _differs(content), _curves(content),
        _factors(content), _pareto(content), _learning_rates(content), _ranks(content),
        _heat(content), _facts(content),
    ]  # fmt: skip
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(content['title'])}</title><style>{style}</style></head><body>\n"
        + "\n".join(part for part in parts if part)
        + "\n<footer>Every number is in <code>report.json</code> beside this page; every run in "
        "<code>report.csv</code>.</footer></body></html>\n"
    )


def num(place: str, value: Any, form: Callable[[Any], str] = format.number) -> str:
    """A number with its place in report.json."""
    if value is None:
        return format.NOTHING
    return f'<span data-path="{escape(place)}">{escape(form(value))}</span>'


def said(place: str, text: Any) -> str:
    """Words that stand in report.json."""
    return f'<span data-path="{escape(place)}" data-words>{escape(str(text))}</span>'


def count(value: int) -> str:
    return f"{value:,}"


def plain(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def figure(canvas: Canvas | None, caption: str = "", kind: str = "") -> str:
    """A plot with its caption; nothing where there is nothing to draw."""
    if canvas is None:
        return ""
    words_ = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="{kind}">{words_}{canvas.svg()}</figure>'


def _head(content: dict[str, Any]) -> str:
    alarms = [("placebo" in text.lower(), i, text) for i, text in enumerate(content["warnings"])]
    warnings = "".join(
        f'<p class="warning{" alarm" if alarm else ""}">{said(f"/warnings/{i}", text)}</p>'
        for alarm, i, text in alarms
    )
    lead = "".join(f"<p data-words>{escape(text)}</p>" for text in format.sentences(content))
    blocks = content["blocks"]
    used = ", ".join(num(f"/blocks/used/{i}", s, plain) for i, s in enumerate(blocks["used"]))
    dropped = "".join(
        f'<p class="warning">Seed {num(f"/blocks/dropped/{i}/seed", one["seed"], plain)} is left out for '
        f"all: {said(f'/blocks/dropped/{i}/because/0', one['because'][0])}"
        f"{' and more' if len(one['because']) > 1 else ''}.</p>"
        for i, one in enumerate(blocks["dropped"])
    )
    stage = content["stage"]
    going = (
        f'<p class="warning">Not finished: stage {said("/stage", stage)}.</p>'
        if stage not in (None, "done")
        else ""
    )
    base = content["baseline"]
    failures = "".join(
        f'<p class="warning">Failed: {said(f"/failures/{i}/run", one["run"])}: '
        f"{said(f'/failures/{i}/error', one['error'])}</p>"
        for i, one in enumerate(content["failures"])
    )
    return (
        f"<header><h1>{said('/title', content['title'])}</h1>"
        f'<p class="quiet">{said("/metric", content["metric"])}, '
        f"{said('/better', content['better'])} is better. Baseline: "
        f"{said('/baseline/variant', base['variant'])} ({said('/baseline/chosen', base['chosen'])}). "
        f"Seeds compared: {used or 'none'}.</p></header>{warnings}{going}"
        f'<div class="lead">{lead}</div>{dropped}{failures}'
    )


def _forest(content: dict[str, Any]) -> str:
    wide, narrow = plots.forest(content), plots.forest(content, 358)
    if wide is None:
        return ""
    margin = content["margin"]
    method = "Intervals are of paired differences, seed by seed."
    thin = (
        " The thin line is the interval over other test examples. An arrow: beyond the drawn range."
        if any(row["other_text"] for row in content["variants"])
        else ""
    )
    return (
        "<section><h2>Difference from the baseline</h2><p class=note>The large dot is the mean, the bar its 95 % "
        f"interval, small dots are seeds. The shaded region, ±{num('/margin/percent', margin['percent'], plain)} % "
        f"or ±{num('/margin/absolute', margin['absolute'])}, is too small to matter. {method}{thin}</p>"
        f"{figure(wide, kind='wide')}{figure(narrow, kind='narrow')}</section>"
    )


def _table(content: dict[str, Any]) -> str:
    head = (
        *("variant", "mean", "SD", "Δ", "95 % interval", "Holm p", "verdict"),
        *("LR", "params", "FLOPs/token", "tokens/s", "peak MiB"),
    )
    columns = "".join(
        f"<th{' class=words' if name == 'verdict' else ''}>{name}</th>" for name in head
    )
    rows = "".join(_row(i, row) for i, row in enumerate(content["variants"]))
    return (
        "<section><h2>All variants</h2><p class=note>SD is over seeds. Runs that diverged are counted and never "
        f'averaged.</p><div class="scroll"><table><tr>{columns}</tr>{rows}</table></div></section>'
    )


def _row(i: int, row: dict[str, Any]) -> str:
    at, effect = f"/variants/{i}", row["effect"] or {}
    low, high = effect.get("low"), effect.get("high")
    interval = (
        f"{num(f'{at}/effect/low', low, format.signed)} … {num(f'{at}/effect/high', high, format.signed)}"
        if low is not None
        else format.NOTHING
    )
    answer = (
        said(f"{at}/short", row["short"])
        + (" <small>baseline</small>" if row["is_baseline"] else ""),
        num(f"{at}/mean", row["mean"]),
        num(f"{at}/sd", row["sd"]),
        num(f"{at}/effect/delta", effect.get("delta"), format.signed),
        interval,
        num(f"{at}/effect/p_holm", effect.get("p_holm"), format.p_value),
    )
    cost = (
        num(f"{at}/lr", row["lr"], plain),
        num(f"{at}/params", row["params"], count),
        num(f"{at}/flops_per_token", row["flops_per_token"], format.short),
        num(f"{at}/tokens_per_second", row["tokens_per_second"], format.short),
        num(f"{at}/memory_mib", row["memory_mib"], lambda v: format.number(v, 0)),
    )
    verdict = f'<td class="words {row["verdict"]}">{_verdict(at, row)}</td>'
    body, rest = ("".join(f"<td>{cell}</td>" for cell in cells) for cells in (answer, cost))
    return f'<tr title="{escape(row["variant"])}">{body}{verdict}{rest}</tr>'


def _verdict(at: str, row: dict[str, Any]) -> str:
    effect, word = row["effect"], row["verdict"]
    parts = []
    if word == "unresolved" and effect["n_needed"]:
        parts.append(
            f"unresolved – needs about {num(f'{at}/effect/n_needed', effect['n_needed'], plain)} seeds"
        )
    elif word == "stopped":
        parts.append(
            f"stopped at step {num(f'{at}/stopped/step', row['stopped']['step'], count)}: "
            f"{said(f'{at}/stopped/reason', row['stopped']['reason'])}"
        )
    elif word != "diverged" and word != "baseline":
        parts.append(format.verdict(row))
    if row["states"]["diverged"]:
        n, of, p = (row["divergence"][key] for key in ("n", "of", "p_holm"))
        text = f"diverged {num(f'{at}/divergence/n', n, plain)} of {num(f'{at}/divergence/of', of, plain)}"
        if p is not None:
            text += f" (Holm p {num(f'{at}/divergence/p_holm', p, format.p_value)})"
        parts.append(text)
    for state in ("failed", "running", "missing"):
        if row["states"][state]:
            parts.append(f"{num(f'{at}/states/{state}', row['states'][state], plain)} {state}")
    return "; ".join(parts)


def _differs(content: dict[str, Any]) -> str:
    rows = ""
    for i, row in enumerate(content["variants"]):
        keys = "".join(
            f"<div><code>{said(f'/variants/{i}/differs/{j}/key', one['key'])}</code> "
            f"{said(f'/variants/{i}/differs/{j}/baseline', one['baseline'] or format.NOTHING)} → "
            f"{said(f'/variants/{i}/differs/{j}/here', one['here'] or format.NOTHING)}</div>"
            for j, one in enumerate(row["differs"])
        )
        if not row["is_baseline"]:
            rows += f'<tr><td>{said(f"/variants/{i}/short", row["short"])}</td><td class="keys">{keys or "nothing"}</td></tr>'
    if not rows:
        return ""
    return (
        "<section><h2>What differs from the baseline</h2><p class=note>Every key of the configuration, also those "
        f'that nobody typed.</p><div class="scroll"><table>{rows}</table></div></section>'
    )


def _curves(content: dict[str, Any]) -> str:
    over = [(axis, plots.loss_curves(content, axis)) for axis in ("tokens", "seconds")]
    if over[0][1] is None:
        return ""
    both = "".join(figure(canvas, f"Mean over seeds, over {axis}") for axis, canvas in over)
    n = len(content["variants"])
    shown = f"; the {plots.MOST} best of {n} variants" if n > plots.MOST + 1 else ""
    panels = "".join(
        f"<p class=note>Paired difference from the baseline over {axis}, with its 95 % interval; below zero is a lower loss{shown}</p>"
        f'<div class="panels">{"".join(figure(one) for one in found)}</div>'
        for axis, _ in over
        if (found := plots.difference_panels(content, axis))
    )
    return f'<section><h2>Loss curves</h2><div class="two">{both}</div>{panels}</section>'


def _factors(content: dict[str, Any]) -> str:
    found = content["factors"]
    if not found:
        return ""
    head = f"<th>{said('/factors/keys/0', found['keys'][0])} \\ {said('/factors/keys/1', found['keys'][1])}</th>"
    head += "".join(
        f"<th>{said(f'/factors/columns/{j}', name)}</th>" for j, name in enumerate(found["columns"])
    )
    rows = "".join(
        f"<tr><td>{said(f'/factors/rows/{i}', name)}</td>"
        + "".join(
            f"<td>{num(f'/factors/means/{i}/{j}', v)}</td>" for j, v in enumerate(found["means"][i])
        )
        + "</tr>"
        for i, name in enumerate(found["rows"])
    )
    below = "".join(
        f"<tr><td>{said(f'/factors/interactions/{i}/row', one['row'])} with {said(f'/factors/interactions/{i}/column', one['column'])}</td>"
        f"<td>{num(f'/factors/interactions/{i}/delta', one['delta'], format.signed)}</td>"
        f"<td>{num(f'/factors/interactions/{i}/low', one['low'], format.signed)} … {num(f'/factors/interactions/{i}/high', one['high'], format.signed)}</td>"
        f"<td>{num(f'/factors/interactions/{i}/p_holm', one.get('p_holm'), format.p_value)}</td></tr>"
        for i, one in enumerate(found["interactions"])
    )
    return (
        f'<section><h2>Two factors</h2><div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'
        "<p class=note>Interaction: what a pair does beyond the sum of its two changes. Near zero, they add up.</p>"
        f'<div class="scroll"><table><tr><th>pair</th><th>interaction</th><th>95 % interval</th><th>Holm p</th></tr>{below}</table></div></section>'
    )


def _pareto(content: dict[str, Any]) -> str:
    found = "".join(
        figure(plots.pareto(content, key, caption), f"Against {caption}")
        for key, caption in plots.COSTS
    )
    if not found:
        return ""
    return (
        "<section><h2>Quality against cost</h2><p class=note>Below and to the right of the dashed line, another variant "
        f'is at least as good and costs no more.</p><div class="two">{found}</div></section>'
        if content["better"] != "lower"
        else "<section><h2>Quality against cost</h2><p class=note>Above and to the right of the dashed line, another "
        f'variant is at least as good and costs no more.</p><div class="two">{found}</div></section>'
    )


def _learning_rates(content: dict[str, Any]) -> str:
    found = content["learning_rates"]
    if not found:
        return ""
    at = "/learning_rates/curves"
    rows = "".join(
        f"<tr><td>{said(f'{at}/{i}/variant', one['variant'])}</td><td>{num(f'{at}/{i}/chosen', one['chosen'], plain)}</td>"
        f"<td>{num(f'{at}/{i}/sensitivity', one['sensitivity'])}</td><td class=words>{'best rate is the last one tried' if one['at_edge'] else ''}</td></tr>"
        for i, one in enumerate(found["curves"])
    )
    return (
        "<section><h2>Learning rates</h2><p class=note>Sensitivity is the mean over rates of the loss above the best "
        "one, capped by the loss of the initial weights; × is a rate that diverged.</p>"
        f'<div class="two">{figure(plots.learning_rates(content))}<div class="scroll"><table><tr><th>variant</th><th>chosen</th>'
        f"<th>sensitivity</th><th></th></tr>{rows}</table></div></div></section>"
    )


def _ranks(content: dict[str, Any]) -> str:
    found = content["ranks"]
    if not found:
        return ""
    pairs = ", ".join(
        f"{said(f'/ranks/crossed/{i}/0', a)} and {said(f'/ranks/crossed/{i}/1', b)}"
        for i, (a, b) in enumerate(found["crossed"])
    )
    change = "The order was still changing. " if found["still_changing"] else ""
    return (
        '<section><h2>Was the order settled?</h2><div class="two">'
        f"{figure(plots.rank_lines(content))}<p>{change}Kendall’s τ with the order at the end: {num('/ranks/tau_25', found['tau_25'], lambda v: format.number(v, 2))} "
        f"at a quarter, {num('/ranks/tau_50', found['tau_50'], lambda v: format.number(v, 2))} at half of the budget, by "
        f"{said('/ranks/series', found['series'])}. {f'Crossed after half: {pairs}.' if pairs else 'None crossed after half.'}</p></div></section>"
    )


def _heat(content: dict[str, Any]) -> str:
    rows = [(i, row) for i, row in enumerate(content["variants"]) if not row["is_baseline"]]
    values = [abs(d) for _, row in rows for d in row["differences"].values()]
    if not values:
        return ""
    most, lower = max(values) or 1.0, content["better"] == "lower"
    head = "".join(
        f"<th>seed {num(f'/seeds/{i}', s, plain)}</th>" for i, s in enumerate(content["seeds"])
    )

    def cell(i: int, row: dict[str, Any], seed: int) -> str:
        d = row["differences"].get(str(seed))
        if d is None:
            return "<td>–</td>"
        hue = "s1" if (d < 0) == lower else "s2"
        share = round(45 * abs(d) / most)
        at = f"/variants/{i}/differences/{seed}"
        return f'<td style="background:color-mix(in srgb,var(--{hue}) {share}%,var(--paper))">{num(at, d, format.signed)}</td>'

    body = "".join(
        f"<tr><td>{said(f'/variants/{i}/short', row['short'])}</td>"
        + "".join(cell(i, row, seed) for seed in content["seeds"]) + "</tr>"
        for i, row in rows
    )  # fmt: skip
    return (
        "<section><h2>Seed by seed</h2><p class=note>Difference from the baseline of the same seed; blue is better, "
        f'orange worse.</p><div class="scroll"><table class="heat"><tr><th></th>{head}</tr>{body}</table></div></section>'
    )


def _facts(content: dict[str, Any]) -> str:
    matched = "".join(
        f"<dt>{said(f'/matched/{i}/what', one['what'])}</dt><dd>{'equal' if one['equal'] else 'not equal'}"
        + (f", within {num(f'/matched/{i}/worst_percent', one['worst_percent'], lambda v: format.number(v, 2))} %" if one["worst_percent"] is not None else "")
        + "</dd>"
        for i, one in enumerate(content["matched"])
    )  # fmt: skip
    facts = "".join(
        f"<div><dt>{said(f'/facts/{i}/name', one['name'])}</dt><dd>{said(f'/facts/{i}/value', one['value'])}</dd></div>"
        for i, one in enumerate(content["facts"])
    )
    matched = matched.replace("<dt>", "<div><dt>").replace("</dd>", "</dd></div>")
    return (
        f"<section><h2>What was equal</h2><dl>{matched}</dl></section>"
        f"<section><h2>How the runs were made</h2><dl>{facts}</dl></section>"
    )

"""What several comparisons will do, before anything starts: sizes, tokens, steps, time."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lightning_transformer.compare.across.parts import LADDER, Part, RungSize, Several
from lightning_transformer.compare.report.render import numbers
from lightning_transformer.compare.run.progress import duration, seconds_left
from lightning_transformer.compare.run.scheduler import Pool

RATES = {
    "screened": "chosen per variant at each size",
    "mup": "as configured, which init=mup carries over sizes",
    "fixed": "as configured, the same at all sizes; lr=sweep3 or init=mup would differ per size",
}


def show(console: Console, several: Several, pools: Sequence[Pool], folder: Path) -> None:
    """Print a row per comparison, and lines on all of them."""
    console.print(table(several, pools))
    for line in [*lines(several, pools), f"folder    {folder}"]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def table(several: Several, pools: Sequence[Pool]) -> Table:
    """One row per comparison: its size or overrides, its amount of work and its time."""
    found = Table(box=None, pad_edge=False, header_style="dim")
    ladder = several.kind == LADDER
    found.add_column("size" if ladder else "task", no_wrap=True)
    found.add_column("layers, width" if ladder else "overrides", overflow="fold")
    for name in ("params", "tokens", "epochs", "FLOPs") if ladder else ():
        found.add_column(name, justify="right", no_wrap=True)
    for name in ("steps", "jobs", "time"):
        found.add_column(name, justify="right", no_wrap=True)
    for part, pool in zip(several.parts, pools, strict=True):
        seconds, left = seconds_left(pool), pool.plan.rest(pool.outcomes)
        found.add_row(
            part.name,
            *_own(part),
            f"{pool.plan.baseline.steps:,}",
            str(len(left)),
            "not known" if seconds is None else duration(seconds).removeprefix("about "),
        )
    return found


def _own(part: Part) -> list[str]:
    size = part.size
    if size is None:
        return [escape(" ".join(part.overrides))]
    return [
        shape(size), f"{size.params:,}", f"{size.tokens:,}", f"{size.epochs:.2g}",
        numbers.flops(size.flops_per_token * size.tokens),
    ]  # fmt: skip


def shape(size: RungSize) -> str:
    """2 x 64, 4 heads"""
    keys = {key.rpartition(".")[2]: value for key, value in size.shape.items()}
    depth = "+".join(str(value) for key, value in keys.items() if key.endswith("layers"))
    heads = f", {keys['n_heads']} heads" if "n_heads" in keys else ""
    return f"{depth or 1} x {keys['d_model']}{heads}"


def lines(several: Several, pools: Sequence[Pool]) -> list[str]:
    """The time of all, variants and seeds, how rates are chosen, and how often data repeat."""
    plan = pools[0].plan
    times = [seconds_left(pool) for pool in pools]
    known = [seconds for seconds in times if seconds is not None]
    total = duration(sum(known)) if len(known) == len(times) else "not known"
    found = [
        f"variants  {', '.join(variant.label for variant in plan.variants)}",
        f"seeds     {', '.join(map(str, plan.request.seeds))}",
        f"time      {total} in all (from a few steps of each, timed now)",
    ]
    if several.kind != LADDER:
        return found
    found.append(f"lr        {RATES[several.rates]}")
    repeated = [part.size.epochs for part in several.parts if part.size and part.size.epochs > 1]
    if repeated:
        found.append(
            f"data      read {max(repeated):.1f} times over at {len(repeated)} of "
            f"{len(several.parts)} sizes; a smaller tokens_per_param= or more data repeat less"
        )
    return found

"""Train every option of every group beside its default, two seeds each, and write the tables.

    python benchmarks/catalogue.py [--workers 2] [--write docs/reference/catalogue.md] [AXIS ..]

One multirun per axis into outputs/sweeps/catalogue_AXIS; runs that are finished are not run
again, so that it goes on where it was stopped. Half an hour on two cores.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from lightning_transformer.cards.files import all_groups, default_option
from lightning_transformer.runs.result import RunResult, find_results, read

SEEDS = (1, 2)
SWEEPS = Path("outputs/sweeps")
# Attention without scores, and so without kernel and positions.
MIXERS = ("gated_deltanet", "hybrid", "linear", "mamba2")


class Axis(NamedTuple):
    """Options of a group; what they need so that all can stand beside each other."""

    group: str
    setting: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    why: str = ""

    @property
    def options(self) -> list[str]:
        return [o for o in self.only or all_groups()[self.group] if o not in self.without]


AXES = {
    name: Axis(name)
    for name in (
        *("norm", "qk_norm", "activation", "ffn", "position", "pattern", "residual"),
        *("block", "layer_sharing", "embedding", "schedule"),
    )
}
AXES |= {
    "attention": Axis("attention", ("kernel=eager",), without=MIXERS),
    "mixers": Axis("attention", ("position=none",), only=("mha", *MIXERS)),
    "kernel": Axis("kernel", without=("flex",), why="`flex` has no gradient on a CPU"),
    "init": Axis("init", ("optimizer=adamw",)),
    "optimizer": Axis("optimizer", ("schedule=constant",)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("axes", nargs="*", default=list(AXES), metavar="AXIS")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, default=None)
    args = parser.parse_args()
    with ThreadPoolExecutor(args.workers) as workers:
        list(workers.map(sweep, args.axes))
    text = page(args.axes)
    if args.write is None:
        print(text)
    else:
        args.write.write_text(text, encoding="utf-8")


def command(name: str) -> list[str]:
    """What a person would type after `python -m lightning_transformer`."""
    axis, seeds = AXES[name], ",".join(map(str, SEEDS))
    choice = f"{axis.group}={','.join(axis.options)}"
    return [
        *("-m", "experiment=catalogue", *axis.setting, choice),
        *(f"seed={seeds}", f"sweep=catalogue_{name}"),
    ]


def sweep(name: str) -> None:
    """One process, one thread, all options; what it prints goes to a file beside the runs."""
    SWEEPS.mkdir(parents=True, exist_ok=True)
    with (SWEEPS / f"catalogue_{name}.log").open("w") as log:
        done = subprocess.run(
            [sys.executable, "-m", "lightning_transformer", *command(name)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    print(f"{name}: exit {done.returncode}", flush=True)


def page(axes: Sequence[str]) -> str:
    return "\n".join([HEAD, *(line for name in axes for line in table(name))]) + "\n"


HEAD = f"""# Every option, two seeds

What comes out when each option of a group stands beside the default of its group, everything
else being equal: {len(SEEDS)} seeds, one size (4 layers of width 64), 200 steps of 512 bytes,
the default learning rate. **These tables settle nothing.** They show that every option trains,
and what its first step towards an answer looks like. Many options are made for depths, lengths,
rates and budgets that are not those of these tables; where one matters to you, [compare
it](../tutorials/compare_run.md). How little a small difference means: the kernels `eager` and `sdpa` compute the
same, up to rounding, and differ by 0.003.

Loss is nats per byte on the test documents; the difference is to the default, paired by seed; FLOPs
per token are against the default's. Nothing was left out; some 250 runs, 40 minutes of one core,
made by `python benchmarks/catalogue.py --write docs/reference/catalogue.md` (torch 2.13, Python 3.11.7).
"""


def table(name: str) -> list[str]:
    runs, axis = collected(name), AXES[name]
    base_name = default_option(axis.group) or "none"
    base = runs[base_name]
    heads = (name, *(f"seed {s}" for s in SEEDS), "difference", "parameters", "FLOPs")
    lines = [f"## {name}", "", "```text", "python -m lightning_transformer " + typed(name), "```"]
    lines += ["", "| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    rows = [(difference(found, base), option, found) for option, found in runs.items()]
    for delta, option, found in sorted(rows, key=lambda row: (row[0] is None, row[0] or 0.0)):
        label = f"**{option}**" if option == base_name else option
        cells = [label, *(loss_text(found.get(seed)) for seed in SEEDS)]
        cells += ["" if delta is None else f"{delta:+.3f}" if option != base_name else "default"]
        one = next(iter(found.values()))
        cells += [f"{one.n_params:,}", f"{ratio(found, base):.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, "", *([f"{axis.why}.", ""] if axis.why else [])]


def typed(name: str) -> str:
    """The command, cut into lines a page can hold."""
    words = command(name)
    at = next(i for i, word in enumerate(words) if word.startswith(f"{AXES[name].group}="))
    return " \\\n  ".join((" ".join(words[:at]), words[at], " ".join(words[at + 1 :])))


def collected(name: str) -> dict[str, dict[int, RunResult]]:
    """Option -> seed -> what the run says."""
    axis = AXES[name]
    found: dict[str, dict[int, RunResult]] = {option: {} for option in axis.options}
    for path in find_results([SWEEPS / f"catalogue_{name}"]):
        result = read(path)
        assert result.seed is not None
        found[result.choices[axis.group]][result.seed] = result
    return found


def loss_of(result: RunResult | None) -> float | None:
    return None if result is None else result.metrics.get("test/loss")


def loss_text(result: RunResult | None) -> str:
    loss = loss_of(result)
    return f"{loss:.3f}" if loss is not None else (result.status if result else "missing")


def difference(found: dict[int, RunResult], base: dict[int, RunResult]) -> float | None:
    pairs = [(loss_of(found.get(seed)), loss_of(base.get(seed))) for seed in SEEDS]
    known = [a - b for a, b in pairs if a is not None and b is not None]
    return fmean(known) if len(known) == len(SEEDS) else None


def ratio(found: dict[int, RunResult], base: dict[int, RunResult]) -> float:
    """FLOPs per token against the default's."""
    own, usual = (next(iter(runs.values())).flops_per_token for runs in (found, base))
    return (own or 0.0) / (usual or 1.0)


if __name__ == "__main__":
    main()

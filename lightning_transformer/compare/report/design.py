"""Runs as variants times seeds: what is compared, with what, and by which metric."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning_transformer.compare.report.comparison import Comparison
from lightning_transformer.compare.report.fairness.identity import identity
from lightning_transformer.compare.report.fairness.targets import BITS, per_byte
from lightning_transformer.compare.report.load import Omitted, Run, plain
from lightning_transformer.runs.metric_direction import lower_is_better
from lightning_transformer.runs.result import DIVERGED, has_diverged


@dataclass(frozen=True)
class Design:
    """Variants and seeds.

    Attributes:
        cells: label to seed to run.
        values: label to compared key to value; empty for a placebo.
        labels: the baseline first, then by name.
        chosen: how the baseline was chosen.
        notes: what was decided about the metric.
        left_out: runs that are in no cell.
    """

    by: tuple[str, ...]
    labels: tuple[str, ...]
    cells: dict[str, dict[int, Run]]
    values: dict[str, dict[str, str]]
    chosen: str
    comparison: Comparison
    metric: str
    lower_is_better: bool
    notes: list[str] = field(default_factory=list)
    left_out: list[Omitted] = field(default_factory=list)

    @property
    def baseline(self) -> str:
        return self.labels[0]

    @property
    def runs(self) -> list[Run]:
        return [run for row in self.cells.values() for run in row.values()]

    @property
    def seeds(self) -> list[int]:
        return sorted({seed for row in self.cells.values() for seed in row})

    def state(self, label: str, seed: int) -> str:
        """``ok diverged failed missing settled stopped`` or ``running``."""
        run = self.cells[label].get(seed)
        if run is None:
            return "missing" if self.comparison.wants(label, seed) else "settled"
        result = run.result
        if result.status == "failed":
            return "diverged" if DIVERGED.match(result.error or "") else "failed"
        if label in self.comparison.stopped:
            return "stopped"
        if result.status != "finished":
            return "running"
        if self.metric not in result.metrics:
            return "missing"
        value = result.metrics[self.metric]
        if value is None or not math.isfinite(value):
            return "diverged"
        return "diverged" if has_diverged(result, run.history) else "ok"


def design(
    runs: Sequence[Run],
    comparisons: Sequence[Comparison],
    *,
    by: Sequence[str] = (),
    baseline: str | None = None,
    metric: str | None = None,
    better: str | None = None,
) -> Design:
    """Sort runs into variants and seeds; arguments as in `write.Wanted`.

    Raises ValueError, in one line, for runs that are no such table.
    """
    comparison = comparisons[0] if len(comparisons) == 1 else Comparison()
    if by and list(by) != comparison.by:
        comparison = Comparison()  # its labels are others
    keys = tuple(by or comparison.by or _swept(runs))
    cells, values, left_out = _cells(runs, keys, comparison)
    chosen, how = _baseline(cells, values, keys, baseline, comparison)
    name, notes = _metric(metric, comparison, runs)
    rest = sorted(label for label in cells if label != chosen)
    return Design(
        by=keys,
        labels=(chosen, *rest),
        cells=cells,
        values=values,
        chosen=how,
        comparison=comparison,
        metric=name,
        lower_is_better=_lower_is_better(name, better),
        notes=notes,
        left_out=left_out,
    )


def _cells(
    runs: Sequence[Run], keys: Sequence[str], comparison: Comparison
) -> tuple[dict[str, dict[int, Run]], dict[str, dict[str, str]], list[Omitted]]:
    """Runs by label and seed, the values of each label, and runs that have no place."""
    cells: dict[str, dict[int, Run]] = defaultdict(dict)
    values: dict[str, dict[str, str]] = {}
    left_out = []
    # Those without a configuration last, so that they take no place from others.
    for run in sorted(runs, key=lambda run: not run.config):
        try:
            label, of = _label(run, keys, comparison)
            other = _check_fits(run, label, cells.get(label, {}))
        except ValueError as error:
            if run.config and run.result.status == "finished":
                raise
            reason = run.result.error or str(error)
            left_out.append(Omitted(str(run.folder), f"{run.result.status}: {reason}"))
            continue
        if other is not None:
            old, run = _newer(other, run)
            left_out.append(
                Omitted(
                    str(old.folder),
                    old.result.error or f"{label} with seed={run.seed} is {run.folder} too",
                )
            )
        cells[label][run.seed], values[label] = run, of
    return dict(cells), values, left_out


def _check_fits(run: Run, label: str, row: Mapping[int, Run]) -> Run | None:
    """The run of that seed, if there is one already.

    Raises ValueError where the runs of a variant differ in more than their seeds.
    """
    known = row.get(run.seed)
    other = known or next((one for one in row.values() if one.config), None)
    if other is not None and run.config and other.config:
        for key in differences(other, run):
            if key != "init_seed" or known is not None:
                raise ValueError(
                    f"{other.folder} and {run.folder} are both {label} and differ in {key}; add "
                    "it to `by`"
                )
    if known is not None and run.config and known.config and identity(known) != identity(run):
        raise ValueError(
            f"{known.folder} and {run.folder} are both {label} with seed={run.seed}, of other data "
            "or code; leave one out"
        )
    return known


def _newer(a: Run, b: Run) -> tuple[Run, Run]:
    """Two runs of one variant and seed: which one is left out, and which one is taken."""
    finished = a.result.status == "finished", b.result.status == "finished"
    if finished[0] != finished[1]:
        return (b, a) if finished[0] else (a, b)
    return (b, a) if a.folder.name > b.folder.name or not b.config else (a, b)


def _swept(runs: Sequence[Run]) -> list[str]:
    """The overridden keys that differ, in the order of their first use."""
    found = []
    for key in dict.fromkeys(key for run in runs for key in run.overrides):
        values = {run.overrides.get(key) for run in runs}
        if None in values:  # overridden in some runs only
            values = {run.value(key) for run in runs if run.has(key)}
        if len(values) > 1:
            found.append(key)
    return found


def _label(run: Run, keys: Sequence[str], comparison: Comparison) -> tuple[str, dict[str, str]]:
    """The label of a run, and its value of each key."""
    if comparison.placebo and "init_seed" in run.overrides:
        return comparison.placebo, {}
    values = {key: run.value(key) for key in keys}
    return label_of(values), values


def label_of(values: Mapping[str, str]) -> str:
    """KEY=VALUE,.. of a variant."""
    return ",".join(f"{key}={value}" for key, value in values.items()) or "run"


def _baseline(
    cells: Mapping[str, Mapping[int, Run]],
    values: Mapping[str, Mapping[str, str]],
    keys: Sequence[str],
    asked: str | None,
    comparison: Comparison,
) -> tuple[str, str]:
    if asked is not None:
        if asked not in cells:
            raise ValueError(f"baseline {asked} is not one of {'; '.join(sorted(cells))}")
        return asked, "as asked"
    if comparison.baseline:
        label = label_of({key: str(comparison.baseline.get(key)) for key in keys})
        if label in cells:
            return label, "as the comparison was started"
    finished = [
        label for label, row in cells.items()
        if any(run.result.status == "finished" for run in row.values())
    ] or list(cells)  # fmt: skip
    defaults = [
        label
        for label in finished
        if all(key not in run.overrides for run in cells[label].values() for key in keys)
    ]
    if len(defaults) == 1 and keys:
        return defaults[0], "the one where nothing was typed; --baseline takes another"
    return min(finished), "the first by name; --baseline takes another"


def _metric(
    asked: str | None, comparison: Comparison, runs: Sequence[Run]
) -> tuple[str, list[str]]:
    """What is compared, and why it is not the loss where it is not."""
    name = asked or comparison.metric
    known = sorted({name for run in runs for name in run.result.metrics})
    if asked is None and name == "test/loss" and per_byte(runs):
        return BITS, [
            "The variants have different tokenizers: they are compared by bits per byte, because "
            "a loss per token depends on how the text is cut. As many tokens are not as much text."
        ]
    if asked is None and known and name not in known and "val/loss" in known:
        return "val/loss", [f"No run has {name}: val/loss is compared."]
    if known and name not in known:
        raise ValueError(f"metric {name} is in none of the runs; they have {', '.join(known)}")
    return name, []


def _lower_is_better(metric: str, better: str | None) -> bool:
    if better is not None:
        return better == "lower"
    known = lower_is_better(metric)
    if known is None:
        raise ValueError(f"metric {metric} needs the option `better`: lower or higher")
    return known


def differences(baseline: Run, run: Run) -> dict[str, tuple[Any, Any]]:
    """Every key of the configuration that differs: key to (in the baseline, here).

    A component is copied to where it is used (`norm` to `block.norm`, `model.block.norm`, ..), so a
    key that ends with another one of the same values is left out.
    """
    keys = {**baseline.config, **run.config}
    ours = {
        key: (plain(baseline.config.get(key, "")), plain(run.config.get(key, "")))
        for key in keys
        if key != "seed"
        and not key.startswith("callbacks.pause.")
        and baseline.config.get(key, "") != run.config.get(key, "")
    }
    if ours.get("init_seed") == (str(baseline.seed), str(run.seed)):
        del ours["init_seed"]
    return {key: pair for key, pair in ours.items() if not _is_copy(key, pair, ours)}


def _is_copy(key: str, pair: tuple[str, str], ours: dict[str, tuple[str, str]]) -> bool:
    parts = key.split(".")
    return any(ours.get(".".join(parts[i:])) == pair for i in range(1, len(parts)))

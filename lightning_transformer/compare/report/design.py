"""Runs as variants times seeds: what is compared, with what, and what must not be mixed."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lightning_transformer.compare.report.comparison import Comparison
from lightning_transformer.compare.report.load import Run, plain
from lightning_transformer.runs.metric_direction import lower_is_better
from lightning_transformer.runs.result import DIVERGED

# What must be the same in all runs, and the groups that change it when they are compared.
SAME = {
    "data": ("data", "tokenizer", "packing", "task", "model"),
    "commit": (),
    "tokens": ("trainer", "data", "tokenizer", "packing", "task", "model", "match"),
    "test set": ("data", "trainer", "task", "tokenizer", "packing", "model"),
    "precision": ("trainer",),
}
# What decides which examples the test sees.
TEST_KEYS = (
    "data.seq_len",
    "data.path",
    "data.name",
    "trainer.limit_test_batches",
    "data._target_",
)


@dataclass(frozen=True)
class Design:
    """Variants and seeds.

    Attributes:
        cells: label to seed to run.
        labels: the baseline first, then by name.
        chosen: how the baseline was chosen.
    """

    by: tuple[str, ...]
    labels: tuple[str, ...]
    cells: dict[str, dict[int, Run]]
    chosen: str
    comparison: Comparison
    metric: str
    lower_is_better: bool

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
        """``ok diverged failed missing stopped`` or ``running``."""
        run = self.cells[label].get(seed)
        if run is None:
            return "missing"
        result = run.result
        if result.status == "failed":
            return "diverged" if DIVERGED.match(result.error or "") else "failed"
        if label in self.comparison.stopped:
            return "stopped"
        if result.status != "finished":
            return "running"
        if self.metric not in result.metrics:
            return "missing"
        return "diverged" if self._diverged(label, run) else "ok"

    def _diverged(self, label: str, run: Run) -> bool:
        """No finite value at the end, or a loss above that of the initial weights."""
        metrics = run.result.metrics
        if metrics[self.metric] is None or not math.isfinite(metrics[self.metric] or 0.0):
            return True
        first = dict(run.history.get("train/loss", [])).get(1)
        start = self.comparison.lr.loss_at_init.get(label, first)
        end = metrics.get("test/loss", metrics.get("val/loss"))
        return start is not None and end is not None and end > start


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
    cells: dict[str, dict[int, Run]] = defaultdict(dict)
    for run in runs:
        label = _label(run, keys, comparison)
        _check_fits(run, label, cells[label])
        cells[label][run.seed] = run
    chosen, how = _baseline(cells, keys, baseline, comparison)
    name = metric or comparison.metric
    _check_metric(name, runs)
    rest = sorted(label for label in cells if label != chosen)
    return Design(
        keys, (chosen, *rest), dict(cells), how, comparison, name, _lower_is_better(name, better)
    )


def _check_fits(run: Run, label: str, row: Mapping[int, Run]) -> None:
    """Runs of a variant have different seeds and no other difference."""
    other = row.get(run.seed) or next(iter(row.values()), run)
    both = f"{other.folder} and {run.folder} are both {label}"
    for key in differences(other, run):
        if key != "init_seed" or run.seed in row:
            raise ValueError(f"{both} and differ in {key}; add it to `by`")
    if run.seed in row:
        raise ValueError(f"{both} with seed={run.seed}; leave one out")


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


def _label(run: Run, keys: Sequence[str], comparison: Comparison) -> str:
    if comparison.placebo and "init_seed" in run.overrides:
        return comparison.placebo
    return ",".join(f"{key}={run.value(key)}" for key in keys) or "run"


def _baseline(
    cells: dict[str, dict[int, Run]],
    keys: Sequence[str],
    asked: str | None,
    comparison: Comparison,
) -> tuple[str, str]:
    if asked is not None:
        if asked not in cells:
            raise ValueError(f"baseline {asked} is not one of {'; '.join(sorted(cells))}")
        return asked, "as asked"
    if comparison.baseline:
        label = ",".join(f"{key}={comparison.baseline.get(key)}" for key in keys)
        if label in cells:
            return label, "as the comparison was started"
    defaults = [
        label
        for label, row in cells.items()
        if all(key not in run.overrides for run in row.values() for key in keys)
    ]
    if len(defaults) == 1 and keys:
        return defaults[0], "the one where nothing was typed; --baseline takes another"
    return min(cells), "the first by name; --baseline takes another"


def _check_metric(metric: str, runs: Sequence[Run]) -> None:
    known = sorted({name for run in runs for name in run.result.metrics})
    if known and metric not in known:
        raise ValueError(f"metric {metric} is in none of the runs; they have {', '.join(known)}")


def _lower_is_better(metric: str, better: str | None) -> bool:
    if better is not None:
        return better == "lower"
    known = lower_is_better(metric)
    if known is None:
        raise ValueError(f"metric {metric} needs the option `better`: lower or higher")
    return known


# What must not be mixed


def identity(run: Run) -> dict[str, str]:
    """What has to be equal in runs that are compared."""
    result = run.result
    test = ",".join(plain(run.config.get(key)) for key in TEST_KEYS)
    return {
        "data": str(result.data.get("sha256") or "unknown")[:12],
        "commit": result.commit or "unknown",
        "tokens": str(result.tokens_seen) if result.status == "finished" else "",
        "test set": test,
        "precision": result.precision or "unknown",
    }


def mixed(runs: Iterable[Run], by: Sequence[str], comparison: Comparison) -> dict[str, list[str]]:
    """What differs between finished runs: name to values; without what was swept or matched.

    The tokens of runs that stopped early are their own: a warning says so.
    """
    known = [(run, identity(run)) for run in runs if run.result.status == "finished"]
    found = {}
    for name, groups in SAME.items():
        held = [one for run, one in known if name != "tokens" or not run.result.stopped_early]
        values = Counter(one[name] for one in held)
        swept = any(key.split(".")[0] in groups for key in by)
        matched = name == "tokens" and comparison.match.axis in ("flops", "time")
        if len(values) > 1 and not swept and not matched:
            found[name] = [f"{v} ({n} runs)" for v, n in sorted(values.items())]
    return found


def refuse_mixed(found: dict[str, list[str]]) -> None:
    """Raise ValueError, in one line, for runs that differ in what has to be equal."""
    if found:
        name, values = next(iter(found.items()))
        raise ValueError(
            f"the runs differ in {name}: {', '.join(values[:4])}; the option `force` compares them "
            "with a warning, `split` of the command line writes a report for each"
        )


# Configurations


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

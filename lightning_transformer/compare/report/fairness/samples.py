"""What makes the numbers of a table doubtful without forbidding it: one sentence each."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

from lightning_transformer.compare.report.fairness.targets import tokenizer_of
from lightning_transformer.compare.report.load import Run

Cells = Mapping[str, Mapping[int, Run]]


def doubts(cells: Cells, metric: str) -> list[str]:
    """Sentences for the head of a report. cells: label to seed to run."""
    runs = [run for row in cells.values() for run in row.values()]
    found = [
        *_other_samples(cells),
        *_copies(cells, metric),
        *_left_out_steps(cells),
        *_several(runs, "torch", lambda run: run.result.versions.get("torch"),
                  "sums in another order differ in the last digits"),
        *_several(runs, "device", lambda run: run.result.device,
                  "times do not compare, and sums in another order differ in the last digits"),
    ]  # fmt: skip
    if any((run.result.commit or "").endswith("-dirty") for run in runs):
        found.append("The code had changes that were not committed.")
    return found


def _finished(cells: Cells) -> dict[int, dict[str, Run]]:
    """Seed to label to finished run."""
    by_seed: dict[int, dict[str, Run]] = defaultdict(dict)
    for label, row in cells.items():
        for seed, run in row.items():
            if run.result.status == "finished":
                by_seed[seed][label] = run
    return dict(sorted(by_seed.items()))


def _other_samples(cells: Cells) -> list[str]:
    """Runs of one seed that saw as many tokens, and others."""
    seeds = [
        seed
        for seed, row in _finished(cells).items()
        if len({(run.result.tokens_seen, tokenizer_of(run)) for run in row.values()}) == 1
        and len({run.result.samples_sha256 for run in row.values()}) > 1
    ]
    if not seeds:
        return []
    return [
        f"Within seed {_listed(seeds)}, the runs saw other training samples, or in another order: "
        "their difference is not of the variants alone."
    ]


def _copies(cells: Cells, metric: str) -> list[str]:
    """Seeds of a variant that are one run, or saw samples in one order."""
    found: dict[bool, list[str]] = {True: [], False: []}
    for label, row in cells.items():
        groups: dict[str, list[int]] = defaultdict(list)
        for seed, run in row.items():
            if run.result.status == "finished" and run.result.samples_sha256:
                groups[run.result.samples_sha256].append(seed)
        for seeds in groups.values():
            if len(seeds) > 1:
                values = {row[seed].result.metrics.get(metric) for seed in seeds}
                found[len(values) == 1].append(f"{label} (seed {_listed(sorted(seeds))})")
    sentences = []
    if found[True]:
        sentences.append(
            f"Several seeds are one run, with the same samples and the same {metric}: "
            f"{_listed(found[True])}. Copies of a run are no further seeds."
        )
    if found[False]:
        sentences.append(
            f"Several seeds saw the same samples in the same order: {_listed(found[False])}. "
            "What the data contribute to the noise is in no interval."
        )
    return sentences


def _left_out_steps(cells: Cells) -> list[str]:
    """Steps that the guard skipped, or went back over."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for label, row in cells.items():
        for run in row.values():
            counts[label].update(run.result.guard)
    shown = [
        f"{label} ({', '.join(f'{n} {what}' for what, n in sorted(count.items()) if n)})"
        for label, count in counts.items()
        if any(count.values())
    ]
    if not shown:
        return []
    return [f"The guard left out steps after spikes, over all seeds: {_listed(shown)}."]


def _several(runs: Iterable[Run], name: str, of: Callable[[Run], str | None], so: str) -> list[str]:
    values = Counter(of(run) or "unknown" for run in runs if run.result.status == "finished")
    if len(values) < 2:
        return []
    shown = ", ".join(f"{value} ({n} runs)" for value, n in sorted(values.items()))
    return [f"The runs differ in {name}: {shown}; {so}."]


def _listed(values: Iterable[object], most: int = 4) -> str:
    names = [str(value) for value in values]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if names[most:] else "")

"""What must be equal in compared runs: data, code, test set, tokens, precision, start, compilation.

A difference that a swept key makes by itself (``data=pydocs,text``) is what was asked for: it is
said, and where it leaves two test sets there is no verdict. Any other one is refused, and so are
two states of one folder that runs start from.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lightning_transformer.compare.report.load import Run, plain

# Configuration that decides which examples the test sees.
TEST_KEYS = (
    "data.seq_len",
    "data.path",
    "data.name",
    "trainer.limit_test_batches",
    "data._target_",
)
# The swept groups and keys that make a quantity differ by themselves; "data." are all keys below.
WHOLE = ("data", "data.", "task", "model", "experiment")
CHANGED_BY = {
    "data": WHOLE,
    "commit": (),
    "start": ("init_from", "experiment"),
    "test set": (*WHOLE, "trainer", "trainer.limit_test_batches"),
    "precision": ("experiment", "trainer", "trainer.precision", "trainer.accelerator"),
    # By sizes and steps, which nearly every key of these may change; its effect is rounding alone.
    "compilation": (*WHOLE, "model.", "preset", "trainer", "trainer.", "match"),
    "tokens": (
        *WHOLE, "trainer", "trainer.max_steps", "tokenizer", "tokenizer.", "packing", "packing.",
        "match",
    ),
}  # fmt: skip
# Their losses are of other text, so that no verdict is based on them.
OTHER_TEXT = ("data", "test set")


@dataclass(frozen=True)
class Differences:
    """What differs between finished runs: quantity to its values, as text.

    refused: what no swept key makes differ; accepted: what one does.
    """

    refused: dict[str, list[str]]
    accepted: dict[str, list[str]]

    def refuse(self) -> None:
        """Raise ValueError, in one line, for what no swept key makes differ."""
        if self.refused:
            name, values = next(iter(self.refused.items()))
            raise ValueError(
                f"the runs differ in {name}: {', '.join(values[:4])}; the option `force` compares "
                "them with a warning, `split` of the command line writes a report for each"
            )

    def sentences(self) -> list[str]:
        """All of it, for the head of a report."""
        return [
            f"The runs differ in {name}: {', '.join(values)}."
            for name, values in {**self.refused, **self.accepted}.items()
        ]


def identity(run: Run) -> dict[str, str]:
    """What has to be equal in runs that are compared, but for their tokens."""
    result = run.result
    return {
        "data": str(result.data.get("sha256") or "unknown")[:12],
        "commit": result.commit or "unknown",
        "test set": ",".join(plain(run.config.get(key)) for key in TEST_KEYS),
        "precision": result.precision or "unknown",
        "compilation": _compilation(result.compiled),
        "start": str(result.init_from.get("sha256") or "random weights")[:14],
    }


def differing(
    cells: Mapping[str, Mapping[int, Run]], by: Sequence[str], match_axis: str
) -> Differences:
    """What finished runs differ in. cells: label to seed to run. match_axis: of match=."""
    finished = {
        label: {seed: run for seed, run in row.items() if run.result.status == "finished"}
        for label, row in cells.items()
    }
    runs = [run for row in finished.values() for run in row.values()]
    known = [identity(run) for run in runs]
    found = {}
    for name in known[0] if known else ():
        values = Counter(one[name] for one in known)
        if len(values) > 1:
            found[name] = [f"{v} ({n} runs)" for v, n in sorted(values.items())]
    matched = match_axis in ("flops", "time")  # which gives variants other numbers of steps
    if not matched and (tokens := _tokens(finished)):
        found["tokens"] = tokens
    swept = [key for key in by if len({run.value(key) for run in runs if run.has(key)}) > 1]
    accepted = {name for name in found if any(_changes(key, name) for key in swept)}
    if changed := _changed_starts(runs):
        found["start"] = changed
        accepted.discard("start")
    return Differences(
        {name: values for name, values in found.items() if name not in accepted},
        {name: values for name, values in found.items() if name in accepted},
    )


def _compilation(compiled: bool | None) -> str:
    return {True: "compiled", False: "not compiled", None: "unknown"}[compiled]


def _changes(key: str, name: str) -> bool:
    """Whether a swept key makes a quantity differ by itself."""
    return any(
        key == one or (one.endswith(".") and key.startswith(one)) for one in CHANGED_BY[name]
    )


def _changed_starts(runs: Iterable[Run]) -> list[str]:
    """The states of a folder that runs start from, where it was not always the same."""
    states: dict[str, Counter[str]] = defaultdict(Counter)
    for run in runs:
        start = run.result.init_from
        if start.get("path"):
            states[start["path"]][str(start.get("sha256"))[:14]] += 1
    for path, values in sorted(states.items()):
        if len(values) > 1:
            return [f"{v} of {path} ({n} runs)" for v, n in sorted(values.items())]
    return []


def _tokens(cells: Mapping[str, Mapping[int, Run]]) -> list[str]:
    """The tokens of a seed whose runs saw different numbers; examples differ between seeds.

    Those of runs that stopped early are their own; another sentence of the report is about them.
    """
    by_seed: dict[int, Counter[int | None]] = defaultdict(Counter)
    for row in cells.values():
        for seed, run in row.items():
            if not run.result.stopped_early:
                by_seed[seed][run.result.tokens_seen] += 1
    for seed, values in sorted(by_seed.items()):
        if len(values) > 1:
            shown = sorted(values.items(), key=lambda pair: str(pair[0]))
            return [f"{v} ({n} runs of seed {seed})" for v, n in shown]
    return []


def split_by_identity(runs: Iterable[Run]) -> list[list[Run]]:
    """Runs in groups that may be compared."""
    groups: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for run in runs:
        groups[tuple(identity(run).values())].append(run)
    return [groups[key] for key in sorted(groups)]

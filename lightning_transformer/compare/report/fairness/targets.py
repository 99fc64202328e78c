"""Whether two runs measured the same thing: losses of one test set, per one kind of token."""

import re
from collections.abc import Iterable, Mapping

from lightning_transformer.compare.report.fairness.identity import OTHER_TEXT, identity
from lightning_transformer.compare.report.load import Run

# Do not depend on how text is cut into tokens.
OF_TEXT = (
    "bits_per_byte", "chrf", "chrf_of_source", "exact_match", "bleu", "ter", "rouge1", "rouge2",
    "rougel",
)  # fmt: skip
BITS = "test/bits_per_byte"
THREADS = re.compile(r", \d+ threads?$")


def tokenizer_of(run: Run) -> tuple[str, ...]:
    """The options of a run's tokenizer."""
    return tuple(
        f"{key}={value}" for key, value in sorted(run.config.items())
        if key.startswith("tokenizer.")
    )  # fmt: skip


def per_byte(runs: Iterable[Run]) -> bool:
    """Whether runs of several tokenizers can be compared by bits per byte, and by no loss."""
    finished = [run for run in runs if run.result.status == "finished"]
    several = len({tokenizer_of(run) for run in finished}) > 1
    return several and all(BITS in run.result.metrics for run in finished)


def device_kind(run: Run) -> str:
    """The name of a run's GPU or processor, without the number of threads."""
    return THREADS.sub("", run.result.device or "unknown")


def mixed_devices(runs: Iterable[Run]) -> str | None:
    """Why runs of several kinds of devices are not compared; None where there is one kind.

    Their sums differ in the last bits, and a queue gives them to variants in no fair order.
    """
    kinds = {device_kind(run) for run in runs if run.result.status == "finished"}
    if len(kinds) < 2:
        return None
    return f"runs of {' and '.join(sorted(kinds))}; mixed_devices=true compares them"


def incomparable(metric: str, baseline: Mapping[int, Run], row: Mapping[int, Run]) -> str | None:
    """Why a metric of a variant cannot be compared with the baseline's; None where it can."""
    ours, theirs = (
        [run for run in runs.values() if run.result.status == "finished"]
        for runs in (row, baseline)
    )
    if not ours or not theirs:
        return None
    for name in OTHER_TEXT:
        values = [{identity(run)[name] for run in runs} for runs in (ours, theirs)]
        if values[0] != values[1]:
            return "another test set" if name == "test set" else "other data, so another test set"
    tokenizers = [{tokenizer_of(run) for run in runs} for runs in (ours, theirs)]
    other_tokens = tokenizers[0] != tokenizers[1]
    if other_tokens and metric.rsplit("/", 1)[-1] in OF_TEXT:
        return None
    counts = [{run.result.test_targets for run in runs} for runs in (ours, theirs)]
    if None in counts[0] | counts[1]:
        return "another tokenizer, so other tokens" if other_tokens else None
    if counts[0] == counts[1]:
        return None
    if other_tokens:
        return "another tokenizer: its loss is per other tokens; see test/bits_per_byte"
    shown = [", ".join(map(str, sorted(one))) for one in counts]  # type: ignore[type-var]
    return f"other test targets: {shown[0]} where the baseline has {shown[1]}"

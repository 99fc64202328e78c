"""How well what was to be equal is equal, as the runs themselves report it."""

from collections.abc import Mapping
from pathlib import Path

from lightning_transformer.compare.report.comparison import MatchResult
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.runs.result import RESULT_FILE, RunResult, read


def matched(plan: Plan, folder: Path, finished: Mapping[str, str]) -> MatchResult:
    """The axis that was matched, the key that was solved for, and label -> residual mismatch.

    finished: label to the folder of one of its finished runs. The residual is the variant's amount
    over the baseline's, less one.
    """
    axis = plan.baseline.axis
    amounts = {
        label: _amount(axis, read(folder / run))
        for label, run in finished.items()
        if (folder / run / RESULT_FILE).exists()
    }
    base = amounts.get(plan.baseline.label)
    residual = {
        label: amount / base - 1
        for label, amount in amounts.items()
        if amount is not None and base and label != plan.baseline.label
    }
    return MatchResult(axis, str(plan.baseline.match.get("key", "")), residual)


def _amount(axis: str, result: RunResult) -> float | None:
    """What a run had of what was to be equal."""
    if axis == "params":
        return result.n_params_non_embedding
    if axis == "flops" and result.flops_per_token and result.tokens_seen:
        return result.flops_per_token * result.tokens_seen
    return result.seconds if axis == "time" else None

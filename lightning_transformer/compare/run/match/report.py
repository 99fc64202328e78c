"""How equal the runs are in what match= makes equal, as they report it themselves."""

from pathlib import Path

from lightning_transformer.compare.report.comparison import MatchResult
from lightning_transformer.compare.run.outcome import Outcomes
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.runs.result import RunResult, read


def matched(plan: Plan, folder: Path, outcomes: Outcomes) -> MatchResult:
    """The residuals of what was made equal, from the first finished run of each variant."""
    axis, amounts = plan.baseline.axis, {}
    if axis == "none":
        return MatchResult()
    for variant in plan.variants:
        for seed in plan.request.seeds:
            job = plan.job(variant, seed, ())
            outcome = outcomes.get(job.key)
            if outcome is not None and outcome.state == "finished":
                amounts[variant.label] = _amount(axis, read(folder / job.folder))
                break
    base = amounts.get(plan.baseline.label)
    residual = {
        label: amount / base - 1
        for label, amount in amounts.items()
        if amount is not None and base and label != plan.baseline.label
    }
    return MatchResult(axis, str(plan.baseline.match.get("key", "")), residual)


def _amount(axis: str, result: RunResult) -> float | None:
    """A run's amount of what is made equal."""
    if axis == "params":
        return result.n_params_active or result.n_params_non_embedding
    if axis == "trained":  # of new parts the number is not recorded
        return None if result.fresh else result.n_params_trained
    if axis == "flops" and result.flops_per_token and result.tokens_seen:
        return result.flops_per_token * result.tokens_seen
    return result.seconds if axis == "time" else None

"""Adds seeds, `seeds=3..20`, until each variant is settled; see docs/design/statistics.md.

A look is taken when all runs have ended: variants without a verdict get further seeds, and the
baseline gets those that any variant has.
"""

from collections.abc import Mapping

from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.progress import seconds_left
from lightning_transformer.compare.run.scheduler import Pool
from lightning_transformer.compare.run.variants import PLACEBO

OPEN = (
    "unresolved",
    "withheld",
    "no inference",
    "no spread",
    "no shared seed",
    "baseline diverged",
)


def next_look(n: int, last: int) -> int:
    """The number of seeds after n at which is looked again: 4, 5, 6, 7, 8, 10, 12, 15, 18, .."""
    return min(last, n + max(1, n // 4))


def open_variants(plan: Plan, verdicts: Mapping[str, str]) -> list[str]:
    """Variants that more seeds could settle; the placebo only accompanies them."""
    return [
        variant.label
        for variant in plan.variants[1:]
        if verdicts.get(variant.label) in OPEN and not variant.is_placebo
    ]


def more_seeds(plan: Plan, verdicts: Mapping[str, str]) -> dict[str, int]:
    """Label to its number of seeds at the next look; the same as now where nothing is added."""
    last, found = len(plan.request.seeds), dict(plan.n_seeds)
    for label in open_variants(plan, verdicts):
        found[label] = next_look(found[label], last)
    most = max(n for label, n in found.items() if label not in (plan.baseline.label, PLACEBO))
    accompany = [v.label for v in plan.variants if v is plan.baseline or v.is_placebo]
    return found | {label: max(found[label], most) for label in accompany}


def look(pool: Pool) -> tuple[str, bool]:
    """Judge what has ended, and give seeds to variants that are open: a line, whether any got some.

    What is given is written to plan.json first, so that a command that was killed does the same.
    """
    request, state = pool.plan.request, pool.state
    try:
        verdicts = _verdicts(pool)
    except ValueError as error:
        return f"look      {error}", False
    left = open_variants(pool.plan, verdicts)
    n = max(pool.plan.n_seeds.values())
    at = f"look      after {n} seeds"
    if not left:
        return f"{at}: every variant is settled", False
    names = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
    before, more = pool.plan.n_seeds, more_seeds(pool.plan, verdicts)
    if more == before:
        return f"{at}, as many as were asked for: {names} not settled", False
    pool.plan.n_seeds = more
    seconds = state.seconds + (seconds_left(pool) or 0.0)
    if request.budget is not None and seconds > request.budget:
        pool.plan.n_seeds = before
        return f"{at}: the budget ends; {names} not settled", False
    state.n_seeds = more
    state.write(pool.folder)
    return f"{at}: {names} not settled; {max(more.values()) - n} more", True


def _verdicts(pool: Pool) -> dict[str, str]:
    """Label to verdict; raises ValueError where the runs cannot be compared."""
    from lightning_transformer.compare.report.write import build_report  # loads scipy

    report = build_report([pool.folder])
    return {row.variant: row.verdict for row in report.variants}

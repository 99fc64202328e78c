"""What the searches of a comparison have found: for comparison.json, and in lines to read."""

import numpy as np

from lightning_transformer.compare.report.choice.chosen import rate_excess
from lightning_transformer.compare.report.choice.rate_curve import RateChoice
from lightning_transformer.compare.report.comparison import RateSearch
from lightning_transformer.compare.run.outcome import Outcomes
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.request import SCREENING_SEEDS, TUNING_SEEDS
from lightning_transformer.compare.run.search.screening import SHARE, first_factors
from lightning_transformer.compare.run.variants import LR


def rate_search(plan: Plan, outcomes: Outcomes) -> RateSearch:
    """How far the searches are."""
    found = {variant.label: plan.settings(variant, outcomes) for variant in plan.screened}
    rates = {label: one.rates for label, one in found.items() if one.rates is not None}
    runs = {
        label: {
            repr(plan.by_label[label].rates_at(factor)[LR]): losses
            for factor, losses in one.losses.items()
        }
        for label, one in rates.items()
    }
    choices = {label: one.choice for label, one in rates.items() if one.choice is not None}
    return RateSearch(
        policy=plan.request.lr,
        key=LR,
        base=plan.baseline.rates.get(LR),
        bases={label: plan.by_label[label].rates for label in rates},
        chosen={label: choice.rate for label, choice in choices.items()},
        screening={
            label: {rate: _mean(losses) for rate, losses in of_rate.items()}
            for label, of_rate in runs.items()
        },
        loss_at_init={
            label: one.start_loss for label, one in rates.items() if one.start_loss is not None
        },
        at_edge=[label for label, choice in choices.items() if choice.at_edge],
        widened={label: one.widened for label, one in rates.items()},
        seeds=list(SCREENING_SEEDS) if rates else [],
        runs=runs,
        rule={label: choice.rule for label, choice in choices.items()},
        price={label: one.price for label, one in choices.items() if one.price is not None},
        excess={
            label: bound for label, one in choices.items() if (bound := _bound(one)) is not None
        },
        tuned={label: one.keys.keys for label, one in found.items() if one.keys is not None},
    )


def _mean(losses: list[float | None]) -> float | None:
    known = [loss for loss in losses if loss is not None]
    return sum(known) / len(known) if len(known) == len(losses) else None


def _bound(choice: RateChoice) -> float | None:
    excess = rate_excess(choice, 0)
    return None if excess is None else float(np.quantile(excess, 0.95))


def search_lines(plan: Plan) -> list[str]:
    """What will be searched for, before anything starts."""
    request = plan.request
    if request.lr == "fixed":
        lines = ["lr        as configured, not tuned per variant"]
    else:
        tried = "1/2, 1 and 2 times the configured rate, widened at an edge"
        if request.rates:
            tried = ", ".join(f"{rate:g}" for rate in request.rates)
        n = len(first_factors(plan.baseline)) * len(SCREENING_SEEDS)
        lines = [
            f"lr        {tried}; with seeds {_listed(SCREENING_SEEDS)} on 1/{SHARE} of the steps, "
            f"{n} runs per variant; chosen on a curve through their val/loss"
        ]
    for key, texts in request.tuned.items():
        lines.append(
            f"tune      {key}: {', '.join(texts)}; with seeds {_listed(TUNING_SEEDS)} at the "
            f"chosen rate, {len(texts) * len(TUNING_SEEDS)} runs per variant"
        )
    return lines


def _listed(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))


def rate_lines(rates: RateSearch) -> list[str]:
    """The learning rate of each variant and how it was found, then its tuned values."""
    lines = []
    for label, chosen in rates.chosen.items():
        tried = sorted(map(float, rates.screening[label]))
        how = f"{len(tried)} tried from {tried[0]:g} to {tried[-1]:g}"
        if times := rates.widened[label]:
            how += f", widened {times} time{'s' if times > 1 else ''}"
        how += f"; {rates.rule[label]}"
        if label in rates.price:
            how += f"; price {rates.price[label]:.4f}"
        if label in rates.excess:
            how += f", 95 % at most {rates.excess[label]:.4f} above the best"
        if label in rates.at_edge:
            how += "; the best may lie beyond the rates that were tried"
        lines.append(f"lr        {label}: {chosen:g} ({how})")
    for label, keys in rates.tuned.items():
        for key, found in keys.items():
            means = [f"{value} {_shown(_mean(losses))}" for value, losses in found.losses.items()]
            lines.append(f"tune      {label}: {key}={found.chosen} (val/loss {', '.join(means)})")
    return lines


def _shown(loss: float | None) -> str:
    return "diverged" if loss is None else f"{loss:.4f}"

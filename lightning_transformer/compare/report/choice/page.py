"""What a report says of the choices: the curve of each variant, and what they do to intervals."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from lightning_transformer.compare.report.choice.chosen import Chosen, not_covered, sources
from lightning_transformer.compare.report.choice.learning_rates import LearningRates, RateCurve
from lightning_transformer.compare.report.contents import VariantRow
from lightning_transformer.compare.report.design import Design, label_of

RATE = "optimizer.lr"
LOSSES = ("test/loss", "val/loss")  # in the units of what the choices are made by


def choice_sources(design: Design, label: str) -> list[Chosen]:
    """What the choices of a variant and of the baseline add to the error of their difference."""
    if design.metric not in LOSSES:
        return []
    return sources(design.comparison.lr, label, design.baseline)


def choice_warnings(design: Design) -> list[str]:
    """What of the choices is in no interval, one sentence each."""
    search = design.comparison.lr
    if not search.chosen and not search.tuned:
        return []
    if design.metric not in LOSSES:
        return [
            f"The intervals of {design.metric} hold the noise of the runs, not that of choosing "
            "learning rates, which is known for the loss alone."
        ]
    found = []
    whys = {label: not_covered(search, label) for label in design.labels}
    lacking = [f"{label} ({why})" for label, why in whys.items() if why is not None]
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        found.append(
            "No interval of a comparison with these holds the noise of choosing a learning rate: "
            f"{', '.join(lacking[:3])}{more}. It is of the difference at these rates."
        )
    tuned = [label for label in design.labels[1:]
             if search.tuned and not any(one.name == "tuned values"
                                         for one in choice_sources(design, label))]  # fmt: skip
    if tuned:
        found.append(
            "No interval holds the noise of choosing tuned values, because a chosen one has "
            f"diverged: {', '.join(tuned[:3])}."
        )
    return found


def learning_rates(design: Design, rows: Sequence[VariantRow]) -> LearningRates | None:
    """Loss over learning rate per variant, from the screening, or from runs that swept the rate."""
    lr = design.comparison.lr
    found = []
    for label, losses in sorted(lr.screening.items()):
        points = sorted((float(rate), loss) for rate, loss in losses.items())
        start = lr.loss_at_init.get(label)
        if points:
            found.append(RateCurve(
                variant=label,
                chosen=lr.chosen.get(label),
                rates=[rate for rate, _ in points],
                losses=[loss for _, loss in points],
                sensitivity=None if start is None else lr_sensitivity(dict(points), start),
                at_edge=label in lr.at_edge,
                rule=lr.rule.get(label, ""),
                price=lr.price.get(label),
                excess=lr.excess.get(label),
            ))  # fmt: skip
    if found:
        return LearningRates(lr.key, "val/loss", "screening", found, lr.seeds, lr.tuned)
    if RATE not in design.by:
        return None
    return LearningRates(RATE, design.metric, "the runs", _of_swept_rates(design, rows), [], {})


def _of_swept_rates(design: Design, rows: Sequence[VariantRow]) -> list[RateCurve]:
    groups: dict[str, list[tuple[float, float | None]]] = {}
    for row in rows:
        of = dict(design.values[row.variant])
        if RATE not in of:
            continue
        rate = float(of.pop(RATE))
        value = None if row.states["diverged"] else row.mean
        groups.setdefault(label_of(of) if of else "all", []).append((rate, value))
    found = []
    for label, points in sorted(groups.items()):
        points.sort()
        rates, losses = [rate for rate, _ in points], [loss for _, loss in points]
        found.append(RateCurve(label, None, rates, losses, None, False, "", None, None))
    return found


def lr_sensitivity(losses_by_lr: Mapping[float, float | None], loss_at_init: float) -> float:
    """Mean over learning rates of min(loss, loss at init) - best loss (Wortsman et al. 2023).

    A loss of None or not finite (diverged) counts as the loss at init; nan if all diverged.
    """
    if not losses_by_lr:
        raise ValueError("losses_by_lr is empty; it maps each learning rate to its loss")
    capped = [
        loss_at_init if x is None or not math.isfinite(x) else min(x, loss_at_init)
        for x in losses_by_lr.values()
    ]
    return float(np.mean(capped) - min(capped)) if min(capped) < loss_at_init else math.nan

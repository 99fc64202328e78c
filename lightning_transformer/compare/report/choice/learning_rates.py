"""Loss over learning rate, and tuned values, as a report has them."""

from dataclasses import dataclass

from lightning_transformer.compare.report.comparison import TunedKey


@dataclass(frozen=True)
class RateCurve:
    """Losses of a variant over learning rates; None where it diverged.

    rule, price, excess: as in `comparison.RateSearch`.
    """

    variant: str
    chosen: float | None
    rates: list[float]
    losses: list[float | None]
    sensitivity: float | None
    at_edge: bool
    rule: str
    price: float | None
    excess: float | None


@dataclass(frozen=True)
class LearningRates:
    """Loss over learning rate; source: ``screening`` or ``the runs`` (`from` in report.json)."""

    key: str
    metric: str
    source: str
    curves: list[RateCurve]
    seeds: list[int]
    tuned: dict[str, dict[str, TunedKey]]

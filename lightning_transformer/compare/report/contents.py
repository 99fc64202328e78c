"""The parts of a report as typed values; report.json holds the same under the same names."""

import json
import math
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any

from lightning_transformer.compare.report.choice.learning_rates import LearningRates
from lightning_transformer.compare.report.comparison import EarlyStop, FailedJob
from lightning_transformer.compare.report.further.effects import FurtherMetric
from lightning_transformer.compare.report.inference.statistics import Effect
from lightning_transformer.compare.report.load import Omitted
from lightning_transformer.compare.report.sources.documents import OtherText

SCHEMA = 2
PlainValue = str | int | float | bool | None


@dataclass(frozen=True)
class BaselineChoice:
    """What the other variants are compared with, and how it was chosen."""

    variant: str
    chosen: str


@dataclass(frozen=True)
class DroppedSeed:
    """A seed at which some pairs with the baseline are missing, and the runs that lack it."""

    seed: int
    because: list[str]


@dataclass(frozen=True)
class Blocks:
    """Seeds at which variants are paired with the baseline, and those where a pair is missing."""

    used: list[int]
    dropped: list[DroppedSeed]


@dataclass(frozen=True)
class Margin:
    """Differences up to here do not matter; within_percent: the least that could show all equal."""

    percent: float
    absolute: float
    within_percent: float | None


@dataclass(frozen=True)
class VariantEffect(Effect):
    """An effect, and the same in percent of the baseline's mean."""

    delta_percent: float | None
    detectable_percent: float | None
    equal_within_percent: float | None


@dataclass(frozen=True)
class ConfigDifference:
    """A key of the configuration, its value in the baseline and in the variant."""

    key: str
    baseline: str
    here: str


@dataclass(frozen=True)
class Divergence:
    """Runs that diverged, of how many, and Fisher's test against the baseline's.

    verdict: ``more``, ``less``, ``unresolved``, ``too few`` runs to tell, or empty without any.
    """

    n: int
    of: int
    p_holm: float | None
    verdict: str


@dataclass(frozen=True)
class VariantRow:
    """A variant with all its runs; short: its values without their keys.

    Attributes:
        active_params: of params, what one token uses: fewer where there are experts.
        states: number of runs that are ok, diverged, failed, stopped, running and missing.
        values, differences: seed to metric, None without a finished run; to that less baseline's.
        other_text: whether its interval is for other test text too; None without an effect.
        stopped: step and reason, where a comparison stopped it early.
        incomparable: why it has no verdict, though its runs have finished.
    """

    variant: str
    short: str
    is_baseline: bool
    is_placebo: bool
    n_runs: int
    states: dict[str, int]
    params: int | None
    active_params: int | None
    flops_per_token: float | None
    tokens_per_second: float | None
    seconds: float | None
    memory_mib: float | None
    lr: float | None
    mean: float | None
    sd: float | None
    values: dict[str, float | None]
    differences: dict[str, float]
    effect: VariantEffect | None
    other_text: OtherText | None
    stopped: EarlyStop | None
    incomparable: str | None
    differs: list[ConfigDifference]
    divergence: Divergence
    verdict: str


@dataclass(frozen=True)
class Fact:
    """What all runs share, as text."""

    name: str
    value: str


@dataclass(frozen=True)
class Equality:
    """A quantity that should be equal, and its largest deviation from the baseline."""

    what: str
    worst_percent: float | None
    equal: bool
    asked: bool


@dataclass(frozen=True)
class PairedCurve:
    """Mean difference from the baseline over x, with its 95 % interval where n > 1 seeds."""

    x: list[float]
    mean: list[float]
    n: int
    low: list[float] | None = None
    high: list[float] | None = None


@dataclass(frozen=True)
class CurveLine:
    """Mean loss of a variant over x."""

    variant: str
    x: list[float]
    mean: list[float]
    difference: PairedCurve | None = None


@dataclass(frozen=True)
class Curves:
    """The logged series that is drawn, over training tokens and over seconds."""

    series: str
    tokens: list[CurveLine]
    seconds: list[CurveLine]

    def over(self, axis: str) -> list[CurveLine]:
        """The lines over ``tokens`` or ``seconds``."""
        return self.tokens if axis == "tokens" else self.seconds


@dataclass(frozen=True)
class RankRow:
    """Losses and ranks of a variant at each share of the budget."""

    variant: str
    losses: list[float]
    ranks: list[int]


@dataclass(frozen=True)
class Ranks:
    """Rankings at a quarter, half and all of the budget, and how much they agree."""

    series: str
    shares_percent: list[float]
    rows: list[RankRow]
    tau_25: float | None
    tau_50: float | None
    still_changing: bool
    crossed: list[list[str]]


@dataclass(frozen=True)
class Interaction:
    """What a pair of values does beyond the sum of its two changes."""

    row: str
    column: str
    delta: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None


@dataclass(frozen=True)
class Factors:
    """Means of two swept keys, and their interactions."""

    keys: list[str]
    rows: list[str]
    columns: list[str]
    means: list[list[float]]
    interactions: list[Interaction]


@dataclass(frozen=True)
class Contents:
    """All that a report has. Pages, tables and plots show it and compute nothing of their own."""

    schema: int
    title: str
    stage: str | None
    metric: str
    better: str
    by: list[str]
    baseline: BaselineChoice
    seeds: list[int]
    blocks: Blocks
    margin: Margin
    method: str
    head: list[Fact]
    warnings: list[str]
    variants: list[VariantRow]
    further: list[FurtherMetric]
    runs: list[dict[str, PlainValue]]
    facts: list[Fact]
    matched: list[Equality]
    curves: Curves | None
    ranks: Ranks | None
    factors: Factors | None
    learning_rates: LearningRates | None
    failures: list[FailedJob]
    left_out: list[Omitted]

    def to_dict(self) -> dict[str, Any]:
        """The content of report.json."""
        found = asdict(self)
        if rates := found["learning_rates"]:
            rates["from"] = rates.pop("source")
            names = ("key", "metric", "from", "seeds", "curves", "tuned")
            found["learning_rates"] = {name: rates[name] for name in names}
        lines = found["curves"] and [*found["curves"]["tokens"], *found["curves"]["seconds"]]
        for line in lines or ():
            if line["difference"] is None:
                del line["difference"]
            elif line["difference"]["low"] is None:
                del line["difference"]["low"], line["difference"]["high"]
        return found

    def to_json(self) -> str:
        """report.json."""
        return as_json(self.to_dict())


def as_json(content: dict[str, Any]) -> str:
    """The text of a report.json."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def finite(value: Any) -> Any:
    """The same with None in place of numbers that are not finite, which JSON does not have."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: finite(getattr(value, f.name)) for f in fields(value)})
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float):  # numpy's float64 is one as well
        return float(value) if math.isfinite(value) else None
    return value

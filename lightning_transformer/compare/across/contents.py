"""The parts of a report over several comparisons; its report.json holds the same."""

from dataclasses import asdict, dataclass

from lightning_transformer.compare.across.gain import Gain
from lightning_transformer.compare.across.parts import RungSize
from lightning_transformer.compare.across.trend import Trend
from lightning_transformer.compare.report.contents import as_json

SCHEMA = 1


@dataclass(frozen=True)
class PartEffect:
    """A variant in one of the comparisons.

    Attributes:
        part: name of the comparison.
        compute: training FLOPs of a run, median over its runs.
        mean: of the metric, over n runs.
        effect, low, high: difference from the baseline and its 95 % interval, in percent of the
            baseline's mean; in a report over tasks above zero is better.
        verdict: of the comparison, as text.
    """

    part: str
    compute: float | None
    mean: float | None
    n: int
    effect: float | None
    low: float | None
    high: float | None
    verdict: str


@dataclass(frozen=True)
class LadderVariant:
    """A variant over all sizes; trend and gain are None for the baseline.

    why: why there is no trend.
    """

    variant: str
    short: str
    sizes: list[PartEffect]
    trend: Trend | None
    gain: Gain | None
    why: str


@dataclass(frozen=True)
class Rung:
    """A size; compute: training FLOPs of a run of the baseline."""

    name: str
    size: RungSize | None
    compute: float | None


@dataclass(frozen=True)
class LadderContents:
    """All that the report of a ladder has; the first variant is the baseline.

    margin_percent: of an effect per decade of compute, within which it holds, and by which a fitted
    curve may be off.
    """

    title: str
    metric: str
    better: str
    margin_percent: float
    rungs: list[Rung]
    variants: list[LadderVariant]
    warnings: list[str]
    schema: int = SCHEMA
    kind: str = "ladder"

    def to_json(self) -> str:
        """report.json."""
        return as_json(asdict(self))


@dataclass(frozen=True)
class Pooled:
    """A variant over all tasks.

    Attributes:
        iqm: interquartile mean of the improvements in percent, over tasks and seeds.
        low, high: its 95 % interval.
        probability: that a run of the variant is better than one of the baseline, mean over tasks.
        probability_low, probability_high: its 95 % interval.
        n: improvements, one for each task and seed.
        verdict: ``better``, ``worse``, ``equal``, ``unresolved``; ``not tested``.
        is_sure: whether it surely differs from zero, as it may within the margin too.
    """

    iqm: float
    low: float | None
    high: float | None
    probability: float
    probability_low: float
    probability_high: float
    n: int
    verdict: str
    is_sure: bool = False


@dataclass(frozen=True)
class ProfileLine:
    """Share of runs whose improvement over the baseline's mean is above each value, with a band."""

    share: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class TaskVariant:
    """A variant over all tasks; pooled is None for the baseline, why says why else."""

    variant: str
    short: str
    tasks: list[PartEffect]
    pooled: Pooled | None
    profile: ProfileLine | None
    why: str


@dataclass(frozen=True)
class TaskNote:
    """A task and how it is measured."""

    name: str
    metric: str
    better: str


@dataclass(frozen=True)
class TasksContents:
    """All that the report over several tasks has; the first variant is the baseline.

    improvements: in percent, at which the performance profiles are computed.
    """

    title: str
    margin_percent: float
    tasks: list[TaskNote]
    improvements: list[float]
    variants: list[TaskVariant]
    warnings: list[str]
    schema: int = SCHEMA
    kind: str = "tasks"

    def to_json(self) -> str:
        """report.json."""
        return as_json(asdict(self))

"""comparison.json: what `compare run` knows of a comparison and its run folders do not show."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.runs.typed_json import read_typed

COMPARISON_FILE = "comparison.json"
SCHEMA = 1


@dataclass(frozen=True)
class RateSearch:
    """How the learning rates were chosen; dicts by a variant's label.

    Attributes:
        policy: ``sweep3``, tuned per variant, or ``fixed``.
        key: of the rate that is shown.
        base: its configured value in the baseline.
        bases: all configured rates.
        screening: rate, as text, to validation loss; None where it diverged.
        loss_at_init: loss of the first step, the cap of a rate's sensitivity.
        at_edge: variants whose best rate is the lowest or the highest that was tried.
        widened: how often the range was widened.
    """

    policy: str = ""
    key: str = "optimizer.lr"
    base: float | None = None
    bases: dict[str, dict[str, float]] = field(default_factory=dict)
    chosen: dict[str, float] = field(default_factory=dict)
    screening: dict[str, dict[str, float | None]] = field(default_factory=dict)
    loss_at_init: dict[str, float] = field(default_factory=dict)
    at_edge: list[str] = field(default_factory=list)
    widened: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class MatchResult:
    """What was made equal (none, params, flops, time), by which key, and what difference is left.

    residual: label to the variant's amount over the baseline's, less one.
    """

    axis: str = "none"
    key: str = ""
    residual: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EarlyStop:
    """The step at which halving stopped a variant, and why."""

    step: int
    reason: str


@dataclass(frozen=True)
class FailedJob:
    """A job that was given up; run: its folder."""

    run: str
    error: str
    attempts: int


@dataclass(frozen=True)
class Comparison:
    """The content of comparison.json; as it is made without arguments, that of a plain sweep.

    Attributes:
        by: the compared keys.
        baseline: compared key to value.
        metric: ``test/loss``, or ``val/loss`` where no run has a test.
        placebo: label of the variant that repeats the baseline from other initial weights.
        stopped: label to what halving decided.
        stage: ``screening``, ``runs`` or ``done``.
    """

    name: str = ""
    by: list[str] = field(default_factory=list)
    baseline: dict[str, str] = field(default_factory=dict)
    metric: str = "test/loss"
    seeds: list[int] = field(default_factory=list)
    lr: RateSearch = field(default_factory=RateSearch)
    match: MatchResult = field(default_factory=MatchResult)
    placebo: str | None = None
    stopped: dict[str, EarlyStop] = field(default_factory=dict)
    failures: list[FailedJob] = field(default_factory=list)
    stage: str | None = None

    def write(self, folder: Path) -> None:
        """Write comparison.json completely or not at all."""
        content = {"schema": SCHEMA, **asdict(self)}
        text = json.dumps(content, indent=2, ensure_ascii=False)
        write_atomically(folder / COMPARISON_FILE, text + "\n")


def read_comparison(folder: Path) -> Comparison | None:
    """The comparison of a folder; None where there is none.

    Raises ValueError, in one line, for a file of another shape.
    """
    file = folder / COMPARISON_FILE
    if not file.is_file():
        return None
    try:
        return read_typed(Comparison, file, SCHEMA)
    except ValueError as error:
        raise ValueError(f"{error}; run the comparison again") from None

"""comparison.json: what `compare run` knows of a comparison and its run folders do not show."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.runs.result import COMPARISON_FILE
from lightning_transformer.runs.typed_json import read_typed

SCHEMA = 1


@dataclass(frozen=True)
class TunedKey:
    """The search for a key's value: each value to its losses, seed by seed (None = diverged)."""

    losses: dict[str, list[float | None]]
    chosen: str


@dataclass(frozen=True)
class RateSearch:
    """How the learning rates and the tuned keys were chosen; dicts by a variant's label.

    Attributes:
        policy: ``sweep3``, tuned per variant; ``fixed``; or the rates that were to be tried.
        key: of the rate that is shown.
        base: its configured value in the baseline.
        bases: all configured rates.
        screening: rate, as text, to mean validation loss; None where a run diverged.
        seeds: of the screening runs.
        runs: rate, as text, to the losses of these seeds.
        rule: how the rate was chosen, in words.
        price: expected loss above the minimum of the curve, which a lower rate costs.
        excess: what its loss may be above the minimum, with a probability of 95 %.
        tuned: tuned key to its search.
        loss_at_init: loss of the first step, the cap of a rate's sensitivity.
        at_edge: variants whose best rate may lie beyond those that were tried.
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
    seeds: list[int] = field(default_factory=list)
    runs: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)
    rule: dict[str, str] = field(default_factory=dict)
    price: dict[str, float] = field(default_factory=dict)
    excess: dict[str, float] = field(default_factory=dict)
    tuned: dict[str, dict[str, TunedKey]] = field(default_factory=dict)


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
class Looks:
    """When a comparison is judged: after each number of seeds from the first on.

    Attributes:
        first: seeds at the first look, at least 3.
        planned: seeds at the last one that was planned; the comparison may go on after it.
    """

    first: int
    planned: int


@dataclass(frozen=True)
class Comparison:
    """The content of comparison.json; as it is made without arguments, that of a plain sweep.

    Attributes:
        by: the compared keys.
        baseline: compared key to value.
        n_seeds: label to how many of the seeds it is run with, where they are added until it is
            settled.
        looks: when it was judged, where seeds were added after that.
        metric: ``test/loss``, or ``val/loss`` where no run has a test.
        placebo: label of the variant that repeats the baseline from other initial weights.
        stopped: label to what halving decided.
        ranking_seeds: of the runs that halving ranked the variants by, which are not reported.
        stage: ``screening``, ``ranking``, ``runs`` or ``done``.
        command: what was typed, secrets hidden.
        mixed_devices: whether runs of several kinds of devices get a verdict; so where no
            comparison says otherwise.
    """

    name: str = ""
    by: list[str] = field(default_factory=list)
    baseline: dict[str, str] = field(default_factory=dict)
    metric: str = "test/loss"
    seeds: list[int] = field(default_factory=list)
    n_seeds: dict[str, int] = field(default_factory=dict)
    looks: Looks | None = None
    lr: RateSearch = field(default_factory=RateSearch)
    match: MatchResult = field(default_factory=MatchResult)
    placebo: str | None = None
    stopped: dict[str, EarlyStop] = field(default_factory=dict)
    failures: list[FailedJob] = field(default_factory=list)
    stage: str | None = None
    ranking_seeds: list[int] = field(default_factory=list)
    command: str = ""
    mixed_devices: bool = True

    def wants(self, label: str, seed: int) -> bool:
        """Whether a variant is to be run with a seed; not where it was settled before."""
        n = self.n_seeds.get(label)
        return n is None or seed not in self.seeds[n:]

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

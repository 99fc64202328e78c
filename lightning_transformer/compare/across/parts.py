"""several.json: which comparisons belong together, and what each of them is."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.runs.typed_json import read_typed

SEVERAL_FILE = "several.json"
SCHEMA = 1
LADDER, TASKS = "ladder", "tasks"


@dataclass(frozen=True)
class RungSize:
    """The size of a rung's baseline and its budget.

    Attributes:
        shape: key to value: depth, width and number of heads.
        params: without embeddings.
        tokens: that a run reads, `tokens_per_param` for each of params.
        epochs: how often a run sees its training data.
    """

    shape: dict[str, int]
    params: int
    flops_per_token: float
    steps: int
    tokens: int
    epochs: float


@dataclass(frozen=True)
class Part:
    """One of the comparisons: its folder below the common one, and its own overrides."""

    name: str
    overrides: list[str]
    size: RungSize | None = None


@dataclass(frozen=True)
class Several:
    """The content of several.json.

    Attributes:
        kind: ``ladder`` or ``tasks``.
        asked: what the parts were made from; the same command, or one that asks for more,
            continues; another is refused.
        rates: how the learning rates of the rungs were chosen: ``screened``, ``mup``, ``fixed``.
        reports: how many there may have been, each with more seeds than the one before.
    """

    kind: str
    name: str
    parts: list[Part]
    asked: dict[str, str] = field(default_factory=dict)
    rates: str = "screened"
    reports: int = 1

    @property
    def doubts(self) -> list[str]:
        """What of the way in which they were made makes an answer doubtful."""
        if self.reports == 1:
            return []
        return [
            "Seeds were added after a first report: the intervals over all "
            f"{'sizes' if self.kind == LADDER else 'tasks'} hold for this report by itself; the "
            f"{self.reports} together err in at most {5 * self.reports} % instead of 5 %."
        ]

    def write(self, folder: Path) -> None:
        """Write several.json completely or not at all."""
        content = {"schema": SCHEMA, **asdict(self)}
        write_atomically(folder / SEVERAL_FILE, json.dumps(content, indent=2) + "\n")


def read_several(folder: Path) -> Several | None:
    """What a folder of several comparisons holds; None where it is none.

    Raises ValueError, in one line, for a file of another shape.
    """
    file = folder / SEVERAL_FILE
    return read_typed(Several, file, SCHEMA) if file.is_file() else None

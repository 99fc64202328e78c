"""The page of a claim that is measured and not compared over seeds; and short runs to measure."""

import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import torch
from matplotlib.figure import Figure
from omegaconf import DictConfig

from lightning_transformer.build import load_run
from lightning_transformer.config.compose import composed, composer, register
from lightning_transformer.models.base import Transformer
from lightning_transformer.training.run import RunRequest
from lightning_transformer.training.run import run as train

PAGES = Path(__file__).resolve().parents[2] / "docs" / "claims"


@dataclass
class Page:
    """What is asked and found. rows: the first one names the columns."""

    name: str
    question: str
    claim: str
    rows: Sequence[Sequence[str]]
    reading: str
    figure: Figure | None = None

    def write(self, folder: Path = PAGES) -> None:
        head, *rest = self.rows
        lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rest]
        parts = [
            f"# {self.question}",
            f"**The claim.** {self.claim}",
            f"```bash\npython -m benchmarks.measured.{self.name}\n```",
            "\n".join(f"| {' | '.join(cells)} |" for cells in lines),
        ]
        if self.figure is not None:
            mpl.rcParams["svg.hashsalt"] = self.name  # the same picture, the same bytes
            self.figure.savefig(folder / f"{self.name}.svg", metadata={"Date": None})
            parts.append(f"![{self.question}]({self.name}.svg)")
        parts += [f"**Reading.** {self.reading}", f"<sub>{machine()}</sub>"]
        (folder / f"{self.name}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def machine() -> str:
    return (
        f"{platform.machine()}, {torch.get_num_threads()} thread, Python "
        f"{platform.python_version()}, torch {torch.__version__}. Written by the command above."
    )


def axes(
    x: str, y: str, *, log_x: bool = False, log_y: bool = False
) -> tuple[Figure, mpl.axes.Axes]:
    """One plain picture."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    ax = figure.add_subplot(xlabel=x, ylabel=y)
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    if log_x:
        ax.set_xscale("log", base=2)
    if log_y:
        ax.set_yscale("log")
    return figure, ax


def config(*overrides: str) -> DictConfig:
    """What would be typed."""
    register()
    with composer():
        return composed(overrides)


def trained(*overrides: str) -> tuple[Transformer, dict[str, float | None]]:
    """The best model of a run that leaves nothing behind, and its metrics."""
    quiet = ("callbacks=none", "logger=none", "trainer=cpu")
    with tempfile.TemporaryDirectory() as folder:
        result = train(config(*overrides, *quiet), RunRequest(Path(folder), in_sweep=True))
        return load_run(Path(folder)), result.metrics

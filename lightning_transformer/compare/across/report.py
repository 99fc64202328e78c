"""The report over several comparisons in Python: as a table of pandas or in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from lightning_transformer.compare.across.contents import LadderContents, PartEffect, TasksContents
from lightning_transformer.compare.across.render.page import notebook
from lightning_transformer.compare.across.render.plots import all_plots
from lightning_transformer.compare.report.render.plots.files import to_svg
from lightning_transformer.compare.report.report import to_frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LadderReport(LadderContents):
    """All that the report.json of a ladder holds, with types. Made by `write.build_across`."""

    def to_pandas(self) -> pd.DataFrame:
        """One row per variant and size. Raises ImportError where pandas is missing."""
        return _to_pandas([(row.variant, row.sizes) for row in self.variants], "size")

    def _repr_html_(self) -> str:
        return _html(self)


@dataclass(frozen=True)
class TasksReport(TasksContents):
    """All that the report.json over several tasks holds. Made by `write.build_across`."""

    def to_pandas(self) -> pd.DataFrame:
        """One row per variant and task. Raises ImportError where pandas is missing."""
        return _to_pandas([(row.variant, row.tasks) for row in self.variants], "task")

    def _repr_html_(self) -> str:
        return _html(self)


def _to_pandas(rows: Sequence[tuple[str, Sequence[PartEffect]]], part: str) -> pd.DataFrame:
    flat = []
    for variant, parts in rows:
        for one in parts:
            effect = asdict(one)
            flat.append({"variant": variant, part: effect.pop("part"), **effect})
    return to_frame(flat, ["variant", part])


def _html(report: LadderContents | TasksContents) -> str:
    return notebook(report, [to_svg(plot) for plot in all_plots(report).values()])

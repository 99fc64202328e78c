"""The report of a comparison as a Python object."""

from __future__ import annotations

from pathlib import Path

from lightning_transformer.compare.across.parts import read_several
from lightning_transformer.compare.across.report import LadderReport, TasksReport
from lightning_transformer.compare.across.write import build_across
from lightning_transformer.compare.report.report import Report
from lightning_transformer.compare.report.write import Wanted, build_report


def compare(
    *folders: Path | str,
    by: tuple[str, ...] = (),
    metric: str | None = None,
    baseline: str | None = None,
    better: str | None = None,
    force: bool = False,
) -> Report | LadderReport | TasksReport:
    """The report of all runs at or below the folders; writes and prints nothing.

    Of a folder that `compare run` made with `ladder=` or over several tasks it is the report over
    all sizes or tasks; name a folder below it for one of them.

    by: keys of the configuration to compare; () = those that were swept. metric: such as test/loss,
    the default. baseline: KEY=VALUE,.. of the variant that the others are compared with. better:
    ``lower`` or ``higher``, for a metric whose name does not show it. force: compare runs that
    differ in data, code or tokens, with a warning.
    Raises ValueError, in one line, for runs that cannot be compared.
    """
    if not folders:
        raise ValueError('no folder of runs; give one, e.g. lt.compare("outputs/sweeps/norms")')
    mixing = "force" if force else "refuse"
    wanted = Wanted(by=by, metric=metric, baseline=baseline, better=better, mixing=mixing)
    several = read_several(Path(folders[0])) if len(folders) == 1 else None
    if several:
        return build_across(Path(folders[0]), several, wanted)
    return build_report(folders, wanted)

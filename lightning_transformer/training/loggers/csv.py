"""The CSV of a run's logged metrics, written as Lightning logs them."""

import csv
import io
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.runs.result import HISTORY_FILE, complete_lines

Row = dict[str, str]


class History(Logger):
    """Log metrics to ``folder/metrics.csv``: step, seconds, then metrics as they first appear.

    One row per step, in ascending order; a cell is empty where a metric was not logged. Numbers
    have full precision. ``seconds`` is the wall time of training, which goes on over a resume.
    A new row is appended; the file is rewritten only when a column is added or a step
    comes out of order. Only rank zero writes. Lightning's ``epoch`` is left out, because runs
    count in optimizer steps.

    Lightning's CSVLogger deletes the file of an earlier start, so that a resumed run would lose its
    rows. It writes a row per call, several for one step, and keeps up to 100 steps in memory.

    Args:
        folder: the run folder; rows of an earlier start are kept until `truncate`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._path = self._folder / HISTORY_FILE
        self._columns = ["step", "seconds"]
        self._last: Row = {}  # the row of the highest step
        self._last_at = 0  # where that row starts in the file, in bytes
        self._opened = False
        self._start = time.perf_counter()

    @property
    def name(self) -> str:
        """Return nothing, so that Lightning puts no folder between ours and its files."""
        return ""

    @property
    def version(self) -> str:
        """Return nothing, for the same reason."""
        return ""

    @property
    def save_dir(self) -> str:
        """Return the run folder."""
        return str(self._folder)

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Write nothing: the run folder holds config.yaml already."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add values to the row of ``step``; a value logged again at a step replaces the first."""
        assert step is not None, "a row of the history needs its step"
        self._open()
        cells = {key: _cell(value) for key, value in metrics.items() if key != "epoch"}
        if not cells:
            return
        seconds = repr(round(time.perf_counter() - self._start, 6))
        row = {"step": str(int(step)), "seconds": seconds, **cells}
        new = [key for key in row if key not in self._columns]
        self._columns += new
        last = int(self._last["step"]) if self._last else -1
        if new or step < last or not self._path.exists():
            rows = self._rows()
            _insert(rows, row)
            self._replace(rows)
        elif step == last:
            self._last = _merged(self._last, row)
            self._write_last()
        else:
            self._last, self._last_at = row, self._path.stat().st_size
            self._write_last()

    @rank_zero_only
    def truncate(self, step: int) -> None:
        """Drop the rows of later steps, so that a resumed run writes them anew."""
        self._open()
        if self._path.exists():
            self._replace([row for row in self._rows() if int(row["step"]) <= step])
            self._go_on_from(self._last)

    def _open(self) -> None:
        if self._opened:
            return
        self._opened = True
        if self._path.exists():
            rows = self._rows()
            self._columns += [key for row in rows[:1] for key in row if key not in self._columns]
            self._replace(rows)  # also drops a torn last line
            self._go_on_from(self._last)

    def _go_on_from(self, row: Row) -> None:
        self._start = time.perf_counter() - float(row.get("seconds") or 0.0)

    def _rows(self) -> list[Row]:
        if not self._path.exists():
            return []
        return list(csv.DictReader(complete_lines(self._path)))

    def _replace(self, rows: list[Row]) -> None:
        lines = [_line(self._columns)] + [self._text(row) for row in rows]
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, "".join(lines))
        self._last = rows[-1] if rows else {}
        self._last_at = sum(len(line.encode("utf-8")) for line in lines[: -1 if rows else None])

    def _write_last(self) -> None:
        with self._path.open("r+b") as file:
            file.seek(self._last_at)
            file.write(self._text(self._last).encode("utf-8"))
            file.truncate()

    def _text(self, row: Row) -> str:
        return _line([row.get(key) or "" for key in self._columns])


def _insert(rows: list[Row], row: Row) -> None:
    for at, other in enumerate(rows):
        if other["step"] == row["step"]:
            rows[at] = _merged(other, row)
            return
    rows.append(row)
    rows.sort(key=lambda other: int(other["step"]))


def _merged(old: Row, new: Row) -> Row:
    # the time of the first value, so that a validation does not move its training step
    return {**old, **new, "seconds": old["seconds"]}


def _cell(value: Any) -> str:
    return repr(value) if type(value) is int else repr(float(value))


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()

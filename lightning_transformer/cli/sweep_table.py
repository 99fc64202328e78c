"""The table of all jobs at the end of a sweep."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from lightning_transformer.cli.launched_jobs import JobFailure, one_line
from lightning_transformer.runs.result import RunResult, find_results, read

SHOWN = ("val/loss", "test/loss")


class SweepTable(Callback):
    """Prints the table when Hydra has run all jobs; exit code 1 if one of them failed."""

    def __init__(self) -> None:
        self.n_jobs, self.failed = 0, list[JobFailure]()

    def on_jobs_returned(self, returned: Sequence[JobReturn]) -> None:
        """Note what became of jobs; see `launched_jobs.watched_launchers`."""
        self.n_jobs += len(returned)
        values = [job._return_value for job in returned]
        self.failed += [value for value in values if isinstance(value, JobFailure)]

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            assert self.n_jobs, "no launcher has shown its jobs"
            self._show(Path(config.hydra.sweep.dir))
        except Exception as error:  # Hydra would end with a warning and exit code 0
            print(f"error: {one_line(error)}", file=sys.stderr)
            raise SystemExit(1) from error
        if self.failed:
            raise SystemExit(1)

    def _show(self, folder: Path) -> None:
        """Print all runs of the sweep's folder, also earlier ones, and which jobs failed now."""
        runs, unread = [], []
        for found in find_results([folder]):
            name = found.file.parent.name
            name += f" ({found.mark})" if found.mark == "screening" else ""
            try:
                runs.append((name, read(found.file)))
            except ValueError as error:
                unread.append(f"left out of the table: {error}")
        console = Console()
        console.print(sweep_table(runs))
        lines = [*unread, f"sweep     {folder}", f"view      tensorboard --logdir {folder}"]
        for line in lines:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if self.failed:
            console.print(
                f"[red]{len(self.failed)} of {self.n_jobs} jobs failed[/]; "
                "run the same again to redo them"
            )
            for job in self.failed:
                line = f"  {job.folder}  {job.error}"
                console.print(line, markup=False, highlight=False, soft_wrap=True)


def sweep_table(jobs: list[tuple[str, RunResult]]) -> Table:
    """One row per job: name, status, losses, speed."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("job", overflow="fold")
    table.add_column("status")
    for name in (*SHOWN, "tokens/s", "seconds"):
        table.add_column(name, justify="right")
    for name, result in jobs:
        colour = {"finished": "green", "failed": "red"}.get(result.status, "yellow")
        values = [_number(result.metrics.get(metric), ".4f") for metric in SHOWN]
        values += [_number(result.tokens_per_second, ",.0f"), _number(result.seconds, ",.1f")]
        status = "stopped early" if result.stopped_early else result.status
        table.add_row(name, f"[{colour}]{status}[/]", *values)
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)

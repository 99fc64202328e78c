"""The table of all jobs at the end of a sweep."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from lightning_transformer.runs.result import RunResult, find_results, read

SHOWN = ("val/loss", "test/loss")


class SweepTable(Callback):
    """Prints the table when Hydra has run all jobs; exit code 1 if one of them failed."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        jobs = [(path.parent.name, read(path)) for path in find_results([folder])]
        console = Console()
        console.print(sweep_table(jobs))
        console.print(
            f"sweep     {folder}\nview      tensorboard --logdir {folder}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        failed = [(name, result.error) for name, result in jobs if result.status == "failed"]
        if failed:
            console.print(
                f"[red]{len(failed)} of {len(jobs)} jobs failed[/]; run the same again to redo them"
            )
            for name, error in failed:
                console.print(f"  {name}  {error}", markup=False, highlight=False, soft_wrap=True)
            raise SystemExit(1)


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

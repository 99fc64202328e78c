"""`python -m lightning_transformer.evaluate RUN.. [KEY=VALUE..]`: measure trained runs again."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import OmegaConf
from rich.console import Console

from lightning_transformer.cli.console import discard, write_any_character
from lightning_transformer.cli.job import limit_spinning
from lightning_transformer.distributed.processes import check_started
from lightning_transformer.evaluate.arguments import EvaluationRequest, parse
from lightning_transformer.evaluate.folders import runs_at
from lightning_transformer.evaluate.harness.task_files import check_files
from lightning_transformer.evaluate.record import (
    Evaluation,
    check_place,
    place_of,
    write_json,
)
from lightning_transformer.evaluate.settings import Setting, changed
from lightning_transformer.evaluate.table import tables
from lightning_transformer.generate.run_folder import CONFIG
from lightning_transformer.hardware.allocator import keep_freed_memory
from lightning_transformer.runs.result import check_version
from lightning_transformer.runs.untrusted import stored_config


@dataclass(frozen=True)
class Cell:
    """A run and a setting, and the file that its result goes to."""

    run: Path
    setting: Setting
    place: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, 1 if some of several failed, 2 for wrong input, 130."""
    write_any_character()
    remarks = Console(stderr=True, highlight=False)
    try:
        request = parse(sys.argv[1:] if arguments is None else arguments)
        check_started(1, 1)
        check_files(request.tasks)
        found = runs_at(request.paths, request.checkpoint)
        cells = [] if request.tasks else list(_cells(request, found.runs))
        for line in found.left_out:
            remarks.print(f"left out  {line}", markup=False, soft_wrap=True)
        if request.tasks:
            results = ask_all(found.runs, request, remarks)
        else:
            results = evaluate_all(cells, request, remarks)
        Console(highlight=False).print(tables(results))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        discard(sys.stdout)
        return 141
    except (ValueError, OSError) as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return 2
    refused = sum(one.error is not None for one in results)
    return 0 if not refused else 2 if refused == len(results) else 1


def _cells(request: EvaluationRequest, runs: Sequence[Path]) -> Iterator[Cell]:
    """Every run at every setting; refused here is what needs no torch to be known."""
    for run in runs:
        check_version(run)
        stored = OmegaConf.create(stored_config(run / CONFIG))
        for setting in request.settings:
            changed(stored, setting)
    yield from _cells_at(request, runs, request.settings)


def _cells_at(
    request: EvaluationRequest, runs: Sequence[Path], settings: Sequence[Setting]
) -> Iterator[Cell]:
    """Every run at every setting, with the place of its result; ValueError where one is taken."""
    for number, (run, setting) in enumerate(itertools.product(runs, settings), start=1):
        place = place_of(run, setting, request.checkpoint)
        if request.json is None:
            check_place(place, setting)
        else:
            place = request.json.with_suffix("") / f"{number:04d}.json"
        yield Cell(run, setting, place)


def evaluate_all(
    cells: Sequence[Cell], request: EvaluationRequest, remarks: Console
) -> list[Evaluation]:
    """Measure one cell after the other, and write what was found as soon as it is."""
    limit_spinning()
    keep_freed_memory()
    # Not at the top: torch takes seconds to import, and what is refused does not need it.
    from lightning_transformer.checkpoint.run_files import DOCUMENT_LOSSES, RunFiles
    from lightning_transformer.evaluate.measure import measure
    from lightning_transformer.evaluate.progress import shown

    def one(cell: Cell, title: str) -> Evaluation:
        with shown(remarks, title) as callbacks:
            found = measure(cell.run, cell.setting, request.checkpoint, request.trust, callbacks)
        losses = _beside(cell.place)
        RunFiles(losses).save_document_losses(found.losses)
        return replace(found.evaluation, document_losses=f"{losses.name}/{DOCUMENT_LOSSES}")

    return _record_all(cells, request, remarks, one)


def ask_all(runs: Sequence[Path], request: EvaluationRequest, remarks: Console) -> list[Evaluation]:
    """Measure every run by every task, and write what was found as soon as it is."""
    for run in runs:
        check_version(run)
    limit_spinning()
    keep_freed_memory()
    # Not at the top: torch and lm-eval take seconds to import.
    from lightning_transformer.checkpoint.run_files import RunFiles
    from lightning_transformer.evaluate.harness.measure_task import measure_task
    from lightning_transformer.evaluate.harness.task_files import read_files

    files = {Setting("test", (f"tasks={file.name}",)): file for file in read_files(request.tasks)}

    def one(cell: Cell, title: str) -> Evaluation:
        remarks.print(title, markup=False, soft_wrap=True)
        found = measure_task(cell.run, files[cell.setting], request.checkpoint, request.trust)
        folder = _beside(cell.place)
        names = {
            f"test/{metric}": f"{folder.name}/{RunFiles(folder).save_item_scores(metric, rows)}"
            for metric, rows in found.scores.items()
        }
        return replace(found.evaluation, item_scores=names)

    cells = list(_cells_at(request, runs, list(files)))
    return _record_all(cells, request, remarks, one)


def _record_all(
    cells: Sequence[Cell],
    request: EvaluationRequest,
    remarks: Console,
    measure_one: Callable[[Cell, str], Evaluation],
) -> list[Evaluation]:
    """Measure cells by a function of cell and title; one that cannot be measured is recorded so."""
    results: list[Evaluation] = []
    said: set[str] = set()
    for i, cell in enumerate(cells, start=1):
        try:
            one = measure_one(cell, f"{i}/{len(cells)}  {cell.run.name}  {cell.setting}")
        except (ValueError, OSError) as error:
            remarks.print(f"error: {_one_line(error)}", markup=False, soft_wrap=True)
            one = Evaluation(
                run=str(cell.run),
                checkpoint=request.checkpoint,
                split=cell.setting.split,
                overrides=list(cell.setting.overrides),
                error=_one_line(error),
            )
        for line in notes(one):
            if line not in said:  # the same of every run of a sweep
                remarks.print(f"note      {line}", markup=False, soft_wrap=True)
            said.add(line)
        results.append(one)
        if request.json is None:
            write_json(cell.place, one.to_dict())
    if request.json is not None:
        write_json(request.json, [one.to_dict() for one in results])
    return results


def _beside(place: Path) -> Path:
    """The folder for what lies beside the file of an evaluation, which has its name."""
    folder = place.with_suffix("") if place.suffix == ".json" else place
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def notes(one: Evaluation) -> Iterator[str]:
    """What a reader of the numbers has to know."""
    if one.n_left_out:
        limit = f"trainer.limit_{one.split}_batches"
        yield f"the first {one.n_examples:,} rows alone; for all add {limit}=null"
    if one.n_unknown:
        share = one.n_unknown / max(1, int(one.data["n_tokens"]))
        yield f"{share:.2%} of the tokens are unknown to the tokenizer of {one.run}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())

"""The command line of `python -m lightning_transformer.evaluate`, checked without torch."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_transformer.cli.exits import OneLineParser
from lightning_transformer.evaluate.settings import Setting, settings
from lightning_transformer.generate.run_folder import NAMES
from lightning_transformer.paths import PROGRAM

DESCRIPTION = """\
Measure trained runs again: any split, other text, longer rows. RUN is the folder of a run, or of a
sweep or comparison, whose finished runs are taken. The tokenizer is the run's own.
"""

EPILOG = """\
Examples
  {program} outputs/runs/RUN
  {program} outputs/runs/RUN split=val,test
  {program} outputs/sweeps/positions data.seq_len=128,256,512
  {program} outputs/runs/RUN data=text data.path=other.txt data.val_fraction=0.1
  {program} outputs/runs/RUN trainer.precision=bf16-mixed --checkpoint last
  {program} outputs/sweeps/norms --tasks tasks/*.yaml

KEY=VALUE, several values with commas; every combination is measured:
  split=test                test (default), val or train
  data=, data.KEY=          other data, or other options of the run's own data
  trainer.precision=        also trainer.accelerator, and trainer.limit_test_batches of split=test

Each result goes to RUN/evaluations/NAME.json, and the loss of each example beside it. Exit status:
0, 1 if some of several could not be measured, 2 for wrong input or if none could, 130 after Ctrl-C.
"""
OVERRIDE = re.compile(r"[+~]?[A-Za-z_][\w.]*=")


@dataclass(frozen=True)
class EvaluationRequest:
    """Runs, and what to measure of each."""

    paths: tuple[Path, ...]
    settings: tuple[Setting, ...]
    checkpoint: str = "best"
    trust: tuple[str, ...] = ()  # packages whose code the run folders may name
    json: Path | None = None  # one file for all, instead of one in each run folder
    tasks: tuple[Path, ...] = ()  # files of lm-eval's tasks, instead of settings


def make_parser() -> argparse.ArgumentParser:
    """The options, each with its default in the help."""
    program = f"{PROGRAM}.evaluate"
    parser = OneLineParser(
        prog=program,
        usage=f"{program} RUN.. [KEY=VALUE..] [options]",
        description=DESCRIPTION,
        epilog=EPILOG.format(program=program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("given", metavar="RUN|KEY=VALUE", nargs="+", help="folders, and what to change")
    text = "best (default) by trainer.monitor, usually the validation loss, or last"
    add("--checkpoint", choices=NAMES, default="best", help=text)
    text = "a package whose components the runs may name, besides this one and plug-ins"
    add("--trust", metavar="PACKAGE", action="append", default=[], help=text)
    text = "YAML files of tasks, which lm-eval asks (extra `eval`); instead of KEY=VALUE"
    add("--tasks", metavar="FILE", nargs="+", action="extend", type=Path, default=[], help=text)
    text = "a new file for all results, instead of one in each run folder"
    add("--json", metavar="FILE", type=Path, help=text)
    return parser


def parse(arguments: Sequence[str]) -> EvaluationRequest:
    """Arguments to a request; exits with status 2 and one line if a flag is wrong.

    What exists as a file or folder is a RUN, also where its name has a `=`, as in sweeps.
    Raises ValueError, in one line, for what cannot be changed and for a file that exists.
    """
    found = make_parser().parse_intermixed_args(list(arguments))
    typed = [t for t in found.given if OVERRIDE.match(t) and not Path(t).exists()]
    paths = [Path(text) for text in found.given if text not in typed]
    if not paths:
        raise ValueError("no run is named; give its folder, such as outputs/runs/RUN")
    if found.tasks and typed:
        raise ValueError(f"{typed[0]} has no effect on --tasks, whose files say what is measured")
    if found.json is not None:
        for path in (found.json, found.json.with_suffix("")):
            if path.exists():
                raise ValueError(f"--json={found.json}: {path} exists; choose another name")
    return EvaluationRequest(
        paths=tuple(paths),
        settings=tuple(settings(typed)),
        checkpoint=found.checkpoint,
        trust=tuple(found.trust),
        json=found.json,
        tasks=tuple(found.tasks),
    )

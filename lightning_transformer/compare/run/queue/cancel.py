"""`python -m lightning_transformer.compare cancel NAME`: ends the jobs that a comparison left."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lightning_transformer.compare.run.queue.engine import Engine
from lightning_transformer.compare.run.queue.orders import cancel_file
from lightning_transformer.compare.run.queue.record import (
    PLACE,
    PREFIX,
    RECORD_FILE,
    QueueRecord,
    read_record,
)
from lightning_transformer.compare.run.queue.slurm_engine import SlurmEngine
from lightning_transformer.errors import ConfigError

ROOT = Path("outputs/sweeps")
WAIT = 120.0  # seconds for a step and a checkpoint
EVERY = 1.0


def main(argv: Sequence[str], engine: Engine | None = None) -> int:
    """Return the exit status: 0, 1 where jobs are left, 2 for bad input, 130 after Ctrl-C."""
    arguments = _parser().parse_args(list(argv))
    folder = Path(arguments.name) if Path(arguments.name).is_dir() else ROOT / arguments.name
    try:
        if not folder.is_dir():
            raise ConfigError(f"{folder} does not exist; name a comparison in {ROOT}")
        # Of several comparisons, those below.
        places = [file.parent for file in sorted(folder.glob(f"**/{RECORD_FILE}"))]
        left = sum(cancel(place, engine or SlurmEngine(), arguments.wait) for place in places)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if not places:
        print(f"no run of {folder} was ever in a queue")
    return 1 if left else 0


def cancel(folder: Path, engine: Engine, wait: float = WAIT) -> int:
    """End the jobs of a comparison, with checkpoints; how many are left."""
    record = read_record(folder)
    assert record is not None
    tokens = list(record.allocations)
    for token in tokens:
        cancel_file(folder / PLACE, token).touch()
    living = _living(record, engine)
    if living:
        engine.end(list(living), at_once=False)
    n, end = len(living), time.monotonic() + wait
    while living := living and _living(record, engine):
        if time.monotonic() >= end:
            break
        time.sleep(EVERY)
    record.allocations = {token: record.allocations[token] for token in living.values()}
    record.write(folder)
    print(f"{folder}: {n - len(living)} of {n} jobs ended")
    if living:
        print(f"still there: {record.jobs}; end them with scancel {' '.join(living)}")
    return len(living)


def _living(record: QueueRecord, engine: Engine) -> dict[str, str]:
    """Number to token of its jobs that wait or run."""
    answer = engine.living()
    if answer is None:
        raise ConfigError(f"the queue of {record.engine} gives no answer; try again later")
    names = {PREFIX + token: token for token in record.allocations}
    return {number: names[name] for number, name in answer.items() if name in names}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_transformer.compare cancel",
        description="End the jobs that a comparison has left in the queue of a cluster. Those that "
        "run stop with a checkpoint, and the command of the comparison goes on with them.",
    )
    parser.add_argument("name", help="of the comparison, or its folder")
    parser.add_argument(
        "--wait", type=float, default=WAIT, metavar="SECONDS", help="for checkpoints, default 120"
    )
    return parser

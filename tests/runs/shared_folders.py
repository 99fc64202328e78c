"""Commands of two terminals that start and are killed at random moments in the same folders.

    python tests/runs/shared_folders.py FOLDER

Twenty runs, some of them under names that others use too, and three sweeps of overlapping jobs
under one name. A program of its own, because it forks: a child finds torch loaded.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from lightning_transformer.cli.main import main
from lightning_transformer.runs.result import find_results, read, read_history
from lightning_transformer.training.run import run  # loads torch
from tests.helpers.short_runs import short

N_RUNS, SWEEPS = 20, ("1,2,3", "2,3,4", "4,5,1")
SEEDS, NAMES, KILLED = range(1, 6), ("one", "two", "three"), 0.5
LENGTH = ("trainer.max_steps=40", "trainer.val_every=5", "trainer.log_every=1")
# The end of a command that nobody killed: done, or refused because its folder is another's.
ENDS = (0, 2)


@dataclass
class Command:
    """What is typed, once more whenever it was killed."""

    typed: list[str]
    alive: int | None = None  # the process, while there is one
    kill_at: float | None = None
    codes: list[int] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return bool(self.codes) and self.codes[-1] in ENDS


def commands(base: Path, draw: random.Random) -> list[Command]:
    """In a random order; a run has a name of its own, or one of three that are shared."""
    found = []
    for _ in range(N_RUNS):
        seed = draw.choice(SEEDS)
        name = draw.choice((*NAMES, None))
        place = [f"hydra.run.dir=runs/{name}", "resume=auto"] if name else []
        found.append(Command([*short(base, *LENGTH, f"seed={seed}"), *place]))
    for seeds in SWEEPS:
        found.append(Command(["-m", *short(base, *LENGTH, f"seed={seeds}", "sweep=shared")]))
    draw.shuffle(found)
    return found


def start(command: Command, draw: random.Random, log: Path) -> None:
    command.alive = os.fork()
    if command.alive:
        killed = draw.random() < KILLED and len(command.codes) < 3
        command.kill_at = time.monotonic() + draw.uniform(0.1, 2.0) if killed else None
        return
    code = 1
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.argv = ["lightning_transformer", *command.typed]
        main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(code)


def look(command: Command) -> None:
    """Kill it if its time has come; note its exit code if it has ended."""
    assert command.alive is not None
    if command.kill_at is not None and time.monotonic() > command.kill_at:
        os.kill(command.alive, signal.SIGKILL)
        command.kill_at = None
    number, status = os.waitpid(command.alive, os.WNOHANG)
    if number:
        command.codes.append(os.waitstatus_to_exitcode(status))
        command.alive = command.kill_at = None


def storm(base: Path, seed: int = 0) -> None:
    draw, log = random.Random(seed), base / "out.txt"
    waiting, running = commands(base, draw), []
    everything = list(waiting)
    end = time.monotonic() + 600
    while waiting or running:
        assert time.monotonic() < end, log.read_text(encoding="utf-8")
        while len(running) < 4 and waiting:  # two terminals, each with a second job behind
            running.append(waiting.pop(0))
            start(running[-1], draw, log)
            time.sleep(draw.uniform(0, 0.3))
        for command in list(running):
            look(command)
            if command.alive is None:
                running.remove(command)
                if not command.is_done:  # typed again, at some later moment
                    assert command.codes[-1] == -signal.SIGKILL, log.read_text(encoding="utf-8")
                    waiting.insert(draw.randint(0, len(waiting)), command)
        time.sleep(0.02)
    finish(base, everything, log)


def finish(base: Path, everything: list[Command], log: Path) -> None:
    """Alone at last, every sweep finds or finishes its jobs; then each result is looked at."""
    draw = random.Random(0)
    n_kills = sum(code == -signal.SIGKILL for command in everything for code in command.codes)
    for command in everything:
        if command.typed[0] == "-m":
            command.codes = [0, 0, 0]  # is not killed any more
            start(command, draw, log)
            assert command.alive is not None
            code = os.waitstatus_to_exitcode(os.waitpid(command.alive, 0)[1])
            assert code == 0, log.read_text(encoding="utf-8")
    expected = {seed: undisturbed(base, seed, log) for seed in SEEDS}
    finished = {}
    for found in find_results([base / "runs", base / "outputs"]):
        path = found.file
        result = read(path)
        if result.status == "finished":
            assert result.seed is not None
            finished[path.parent] = result.seed
            assert numbers(path.parent) == expected[result.seed], path
            config = (path.parent / "config.yaml").read_text(encoding="utf-8")
            assert f"\nseed: {result.seed}\n" in f"\n{config}"
            assert len(list((path.parent / "checkpoints").glob("step-40"))) == 1
    in_sweep = sorted(s for folder, s in finished.items() if folder.parent.name == "shared")
    assert in_sweep == sorted(SEEDS), finished
    print(f"{len(everything)} commands, {n_kills} kills, {len(finished)} finished runs")


def undisturbed(base: Path, seed: int, log: Path) -> object:
    place = base / "alone" / str(seed)
    command = Command([*short(base, *LENGTH, f"seed={seed}"), f"hydra.run.dir={place}"])
    command.codes = [0, 0, 0]
    start(command, random.Random(0), log)
    assert command.alive is not None
    assert os.waitpid(command.alive, 0)[1] == 0, log.read_text(encoding="utf-8")
    return numbers(place)


def numbers(folder: Path) -> object:
    """All that a run has measured, times left out."""
    series = read_history(folder)
    kept = {k: v for k, v in series.items() if k != "seconds" and not k.startswith("perf/")}
    return read(folder).metrics, kept


if __name__ == "__main__":
    assert run is not None
    os.chdir(sys.argv[1])
    storm(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)

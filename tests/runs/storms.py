"""Runs that are killed or told to stop, again and again; a program of its own, because it forks.

    python tests/runs/storms.py kill 100 FOLDER    SIGKILLs at random times, many inside a save
    python tests/runs/storms.py stop 20 FOLDER     SIGTERMs to one of two processes of a run

Each forked child finds torch loaded already, so that a start takes half a second and not four.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lightning_transformer.checkpoint import store
from lightning_transformer.errors import Stopped
from lightning_transformer.runs.result import read, read_history
from lightning_transformer.training.request import RunRequest
from lightning_transformer.training.run import run
from tests.conftest import compose_config
from tests.helpers.short_runs import DROPOUT, difference, history, short

EVERY = 4
STEPS = (
    *DROPOUT,
    "schedule=constant",  # not a function of max_steps
    "trainer.accumulate=2",
    "trainer.val_every=100",
    f"trainer.save_every={EVERY}",
    "trainer.limit_val_batches=2",
    "trainer.limit_test_batches=2",
)


def child(folder: Path, overrides: tuple[str, ...], before: Callable[[], None]) -> int:
    """Fork; in the child go on with the run, or start it. Returns the child's number."""
    cfg = compose_config(*short(folder.parent, *overrides))  # once for all children
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        os.dup2(os.open(folder.parent / "out.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        os.dup2(1, 2)
        before()
        job = RunRequest(folder, resume=(folder / "result.json").exists())
        run(cfg, job)
        code = 0
    except Stopped as stopped:
        code = 128 + stopped.signum
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def dies_in_its_saves(draw: random.Random) -> Callable[[], None]:
    """Makes a process die at a random moment of one of its next saves."""
    saves, delay = draw.randint(1, 6), draw.uniform(0, 0.004)
    begin, begun = store.begin, []

    def begin_and_die(save_folder: Path, step: int) -> Path:
        temporary = begin(save_folder, step)
        begun.append(step)
        if len(begun) == saves:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return temporary

    return lambda: setattr(store, "begin", begin_and_die)


def newest_step(folder: Path) -> int:
    found = store.newest(folder / store.FOLDER, lambda text: sys.exit(text))
    return 0 if found is None else found.step


def kill_storm(base: Path, n_kills: int) -> None:
    """After every kill the newest checkpoint is whole and at most one interval is lost."""
    draw, overrides = random.Random(0), (*STEPS, "trainer.max_steps=100000")
    folder, in_save, litter = base / "run", 0, {}
    for number in range(n_kills):
        aimed = number % 2 == 1
        process = child(folder, overrides, dies_in_its_saves(draw) if aimed else lambda: None)
        if not aimed:
            time.sleep(draw.uniform(0.1, 1.0))
            os.kill(process, signal.SIGKILL)
        assert os.waitpid(process, 0)[1] == signal.SIGKILL, (base / "out.txt").read_text()
        left = {path: path.stat().st_mtime_ns for path in (folder / store.FOLDER).glob(".*")}
        in_save += left != litter and bool(left)
        litter = left
        done, kept = steps_done(folder), newest_step(folder)
        assert done - kept <= EVERY, f"kill {number}: {done} steps were done, {kept} are kept"
    last = max(newest_step(folder) + 10, 20)
    print(f"{n_kills} kills, {in_save} inside a save, {newest_step(folder)} steps")
    assert in_save >= 0.3 * n_kills
    finish(folder, (*STEPS, f"trainer.max_steps={last}"))
    finish(base / "undisturbed", (*STEPS, f"trainer.max_steps={last}"))
    assert difference(folder, base / "undisturbed") == 0
    assert history(folder) == history(base / "undisturbed")


def finish(folder: Path, overrides: tuple[str, ...]) -> None:
    process = child(folder, overrides, lambda: None)
    assert os.waitpid(process, 0)[1] == 0, (folder.parent / "out.txt").read_text()


def stop_storm(base: Path, n_stops: int) -> None:
    """One of two processes gets SIGTERM; both leave with 143 and a checkpoint of the same step."""
    draw = random.Random(0)
    overrides = (*STEPS, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    overrides = (*overrides, "trainer.max_steps=100000")
    folder = base / "run"
    for number in range(n_stops):
        before = newest_step(folder)
        port = free_port()
        processes = [child(folder, overrides, as_rank(rank, port)) for rank in (0, 1)]
        wait_until(partial(has_gone_on, folder, before))
        time.sleep(draw.uniform(0, 0.2))
        os.kill(processes[draw.randrange(2)], signal.SIGTERM)
        for process in processes:
            code = wait_for(process, seconds=240)
            assert code == 143, f"stop {number}: {code}\n{(base / 'out.txt').read_text()}"
        result = read(folder)
        assert result.status == "stopped"
        assert result.steps == newest_step(folder) > before
    print(f"{n_stops} stops, {newest_step(folder)} steps")


def as_rank(rank: int, port: int) -> Callable[[], None]:
    """Makes a process one of two, as a cluster's launcher does."""
    env = {"LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": 2, "MASTER_PORT": port}
    return lambda: os.environ.update(
        {key: str(value) for key, value in env.items()} | {"MASTER_ADDR": "127.0.0.1"}
    )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def steps_done(folder: Path) -> int:
    if not (folder / "metrics.csv").exists():
        return 0
    rows = read_history(folder).get("train/loss")
    return rows[-1][0] if rows else 0


def has_gone_on(folder: Path, step: int) -> bool:
    return steps_done(folder) > step


def wait_until(true: Callable[[], bool], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for(process: int, seconds: float) -> int:
    """The exit code of a child; a child that hangs is an error."""
    ended: list[int] = []

    def gone() -> bool:
        number, status = os.waitpid(process, os.WNOHANG)
        if number:
            ended.append(os.waitstatus_to_exitcode(status))
        return bool(number)

    wait_until(gone, seconds)
    return ended[0]


if __name__ == "__main__":
    {"kill": kill_storm, "stop": stop_storm}[sys.argv[1]](Path(sys.argv[3]), int(sys.argv[2]))

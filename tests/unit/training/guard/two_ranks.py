"""Disturbed runs on two processes: `python -m tests.unit.training.guard.two_ranks FOLDER`.

FOLDER/cases.json holds {name: what is typed}. Rank 1 alone is disturbed, at step 12: its loss in
cases whose name begins with `loss`, one of its gradients in the others. What each rank was left
with is in FOLDER/NAME-RANK.json.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.distributed.tensor import DTensor

from lightning_transformer.errors import TrainingError
from lightning_transformer.training.request import RunRequest
from lightning_transformer.training.run import run
from tests.conftest import compose_config
from tests.helpers.short_runs import ROOT, environment
from tests.unit.training.guard.poison import Poison, nan_loss

STEP = 12


def nan_here(model, loss):
    """The gradients of this rank before they are added up; the loss is what it was."""
    loss.register_hook(lambda gradient: gradient * float("nan"))
    return loss


def one(folder: Path, name: str, typed: list[str]) -> None:
    rank = int(os.environ["RANK"])
    with pytest.MonkeyPatch.context() as patch:
        at = [STEP] if rank == 1 else []
        poison = Poison(patch, at, nan_loss if name.startswith("loss") else nan_here)
        try:
            result = run(compose_config(*typed), RunRequest(folder / name, overrides=typed))
            said = result.status
            guard = result.guard
        except TrainingError as error:
            said, guard = str(error), {}
    finite = all(
        bool((p.to_local() if isinstance(p, DTensor) else p).isfinite().all())
        for p in poison.model.parameters()
    )
    left = {"said": said, "guard": guard, "steps": poison.count, "finite": finite}
    (folder / f"{name}-{rank}.json").write_text(json.dumps(left), encoding="utf-8")


def on_two_ranks(folder: Path, cases: dict[str, list[str]]) -> dict[str, list[dict]]:
    """What each case left on both ranks."""
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(2):
        place = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "TORCHELASTIC_RUN_ID": "t"}
        sizes = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
        variables = {key: str(value) for key, value in (place | sizes).items()}
        env = environment() | variables | {"MASTER_ADDR": "127.0.0.1"}
        command = [sys.executable, "-m", "tests.unit.training.guard.two_ranks", str(folder)]
        with (folder / f"rank{rank}.log").open("wb") as log:
            started.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log))
    try:
        codes = [process.wait(timeout=1800) for process in started]
    finally:
        for process in started:
            process.kill()
    logs = [(folder / f"rank{rank}.log").read_text(encoding="utf-8") for rank in range(2)]
    assert codes == [0, 0], "\n".join(logs)
    return {
        name: [json.loads((folder / f"{name}-{r}.json").read_text("utf-8")) for r in range(2)]
        for name in cases
    }


def main() -> None:
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    for name, typed in json.loads((folder / "cases.json").read_text(encoding="utf-8")).items():
        one(folder, name, typed)


if __name__ == "__main__":
    main()

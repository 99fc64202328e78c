"""Runs on two processes, all in one pair: `python -m tests.contracts.parallel_cases FOLDER`.

FOLDER/cases.json holds {name: what is typed}. Each run is one of
`lightning_transformer.training.run.run` in a folder of its name; exact.json beside its
result holds what is rounded elsewhere.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import torch

from lightning_transformer.models.base import Transformer
from lightning_transformer.training.request import RunRequest
from lightning_transformer.training.run import run
from tests.conftest import compose_config
from tests.helpers.short_runs import ROOT, environment


def run_exactly(folder: Path, typed: list[str]) -> None:
    """One run; its metrics and gradient norms, unrounded, are in exact.json of its folder.

    Where there are checkpoints in it, the run goes on.
    """
    resume = (folder / "checkpoints").is_dir()
    seen: dict[str, list[float]] = {"metrics": [], "norms": []}
    compute, clip = Transformer._log_metrics, Transformer.configure_gradient_clipping

    def log_metrics(model: Transformer, split: str) -> None:
        values = model.task.compute(model.evaluation)
        seen["metrics"] += [float(value) for value in values.values()]
        compute(model, split)

    def clipping(model: Transformer, *args, **kwargs) -> None:
        clip(model, *args, **kwargs)
        seen["norms"].append(float(model.grad_norm))

    Transformer._log_metrics, Transformer.configure_gradient_clipping = log_metrics, clipping
    try:
        run(compose_config(*typed), RunRequest(folder, overrides=typed, resume=resume))
    finally:
        Transformer._log_metrics, Transformer.configure_gradient_clipping = compute, clip
    rank = os.environ.get("RANK", "0")
    (folder / f"exact-{rank}.json").write_text(json.dumps(seen), encoding="utf-8")


def on_processes(folder: Path, cases: dict[str, list[str]], n: int = 2) -> None:
    """Run all cases on n processes; raises AssertionError with what they said if one fails."""
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.contracts.parallel_cases", str(folder)]
    started = []
    for rank in range(n):
        # The names that torchrun gives: Lightning then starts no processes itself.
        place = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "TORCHELASTIC_RUN_ID": "t"}
        sizes = {"WORLD_SIZE": n, "LOCAL_WORLD_SIZE": n, "MASTER_PORT": port}
        variables = {name: str(value) for name, value in (place | sizes).items()}
        env = environment() | variables | {"MASTER_ADDR": "127.0.0.1"}
        with (folder / f"rank{rank}.log").open("wb") as log:
            started.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log))
    try:
        codes = [process.wait(timeout=1800) for process in started]
    finally:
        for process in started:
            process.kill()
    logs = [(folder / f"rank{rank}.log").read_text(encoding="utf-8") for rank in range(n)]
    assert codes == [0] * n, "\n".join(logs)


def main() -> None:
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    for name, typed in json.loads((folder / "cases.json").read_text(encoding="utf-8")).items():
        run_exactly(folder / name, typed)


if __name__ == "__main__":
    main()

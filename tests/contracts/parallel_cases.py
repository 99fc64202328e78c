"""Runs on two processes, all in one pair: `python -m tests.contracts.parallel_cases FOLDER`.

FOLDER/cases.json holds {name: what is typed}. Each run is one of
`lightning_transformer.training.run.run` in a folder of its name; exact.json beside its
result holds what is rounded elsewhere, and dtypes.json those of what processes exchange and keep.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.block.base import Block
from lightning_transformer.training.request import RunRequest
from lightning_transformer.training.run import run
from tests.conftest import compose_config
from tests.helpers.short_runs import ROOT, environment

# What fully_shard sends with, under the names of old and new versions of torch.
SENDING = {
    "all_gather_into_tensor": "gathered",
    "all_gather_single": "gathered",
    "reduce_scatter_tensor": "reduced",
    "reduce_scatter_single": "reduced",
}


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


def noting_dtypes(folder: Path, typed: list[str]) -> None:
    """`run_exactly`; the dtypes of what a process computes with, sends and keeps are in
    dtypes.json of its folder.
    """
    seen: dict[str, set[str]] = {}
    clip = Transformer.configure_gradient_clipping

    def note(kind: str, tensor: Tensor) -> None:
        seen.setdefault(kind, set()).add(str(tensor.dtype).removeprefix("torch."))

    def noting(kind: str, send: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **named: Any) -> Any:
            note(kind, [*args, *named.values()][1])  # behind the output
            return send(*args, **named)

        return noted

    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            note("weights in forward", module.weight)
        elif isinstance(module, Block):
            note("residual stream", args[0])

    def clipping(model: Transformer, optimizer: Any, *args: Any, **named: Any) -> None:
        clip(model, optimizer, *args, **named)
        for parameter in model.parameters():
            note("shards", parameter)
            note("gradients", parameter.grad)
            for value in optimizer.state.get(parameter, {}).values():
                note("optimizer", value)

    with pytest.MonkeyPatch.context() as patch:
        for name, kind in SENDING.items():
            if hasattr(dist, name):
                patch.setattr(dist, name, noting(kind, getattr(dist, name)))
        patch.setattr(Transformer, "configure_gradient_clipping", clipping)
        hook = register_module_forward_pre_hook(before)
        try:
            run_exactly(folder, typed)
        finally:
            hook.remove()
    rank = os.environ["RANK"]
    found = {kind: sorted(names) for kind, names in seen.items()}
    (folder / f"dtypes-{rank}.json").write_text(json.dumps(found), encoding="utf-8")


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
        one = noting_dtypes if name.startswith("dtypes") else run_exactly
        one(folder / name, typed)


if __name__ == "__main__":
    main()

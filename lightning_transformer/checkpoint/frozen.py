"""Weights that a run does not train: written once beside its checkpoints, which leave them out.

    checkpoints/frozen.ckpt      tensors by name
    checkpoints/step-200/        state.ckpt names the digest of that file, manifest.json its entry

A checkpoint is read together with them, so that readers see whole models.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_transformer.checkpoint.hashing import StreamingHash, digest
from lightning_transformer.checkpoint.store import FROZEN
from lightning_transformer.runs.atomic import atomic_path
from lightning_transformer.runs.untrusted import check_archive

SHA256 = "frozen_sha256"  # in the state of a checkpoint that leaves weights out
# What a checkpoint holds of weights; the second is there where the first is their running mean.
MODELS = ("state_dict", "current_model_state")


def take_out(state: dict[str, Any], names: Iterable[str]) -> dict[str, Tensor]:
    """Take the weights of these names out of a state that is to be saved, and return them."""
    taken: dict[str, Tensor] = {}
    names = set(names)
    for key in MODELS:
        if key in state:
            whole = state[key]
            taken |= {name: whole[name] for name in names if name in whole}
            state[key] = {name: value for name, value in whole.items() if name not in names}
    return taken


def write_frozen(folder: Path, weights: dict[str, Tensor]) -> dict[str, Any]:
    """Write the weights into the folder of checkpoints; the entry of the file for manifests.

    Tensors that share memory are written once.
    """
    with (
        atomic_path(folder / FROZEN) as beside,
        StreamingHash(beside) as hashing,
        beside.open("wb") as file,
    ):
        torch.save(weights, file)
    return hashing.entry


def put_back(state: dict[str, Any], path: Path) -> dict[str, Any]:
    """Complete the state that was read from `path` by the weights that it leaves out, if any.

    Raises ValueError, in one line, where their file is missing or not the one written with it.
    """
    expected = state.pop(SHA256, None)
    if expected is None:
        return state
    file = path.parent.parent / FROZEN
    if not file.is_file():
        raise ValueError(f"{file} is missing: {path} leaves out the weights that are in it")
    if digest(file)["sha256"] != expected:
        raise ValueError(f"{file} is damaged: its SHA-256 is not the one that {path} names")
    check_archive(file)
    weights = torch.load(file, map_location="cpu", weights_only=True)
    for key in MODELS:
        if key in state:
            state[key] = {**weights, **state[key]}
    return state

"""A trained model's weights in a format that every library reads and that holds nothing else."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from lightning_transformer.runs.result import sync_folder

WEIGHTS = "model.safetensors"


def write_weights(folder: Path, weights: Mapping[str, Tensor], step: int) -> Path:
    """Write ``folder/model.safetensors`` whole or not at all: tensors by their names in the model.

    A tensor that is shared, such as a tied embedding, is written once under each of its names.
    Its metadata say the step, and that config.yaml beside it says what the model is.
    """
    target = folder / WEIGHTS
    temporary = target.with_name(f".{WEIGHTS}.tmp-{os.getpid()}")
    metadata = {"format": "pt", "step": str(step), "config": "config.yaml"}
    own = {n: w.clone(memory_format=torch.contiguous_format) for n, w in weights.items()}
    try:
        save_file(own, temporary, metadata)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(folder)
    return target

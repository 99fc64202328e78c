"""A trained model's weights in a format that every library reads and that holds nothing else."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from lightning_transformer.runs.atomic import atomic_path

WEIGHTS = "model.safetensors"


def write_weights(
    folder: Path, weights: Mapping[str, Tensor], step: int, *, name: str = WEIGHTS
) -> Path:
    """Write ``folder/model.safetensors`` completely or not at all: tensors by name.

    A tensor that is shared, such as a tied embedding, is written once under each of its names.
    Its metadata say the step, and that config.yaml beside it says what the model is.
    """
    target = folder / name
    metadata = {"format": "pt", "step": str(step), "config": "config.yaml"}
    own = {n: w.clone(memory_format=torch.contiguous_format) for n, w in weights.items()}
    with atomic_path(target) as temporary:
        save_file(own, temporary, metadata)
    return target

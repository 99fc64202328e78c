"""Whole models of Hugging Face with random weights, and ours with the same, compared by scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import Batch
from tests.conftest import noise, tiny

# float64 on both sides; they take norms, rotations and softmax in float32.
TOLERANCE = 1e-5
N_TOKENS = 262  # of bytes and special tokens
SEQ_LEN = 16
IDS = torch.randint(0, 256, (2, SEQ_LEN), generator=torch.Generator().manual_seed(0))
SOURCE = torch.randint(0, 256, (2, 11), generator=torch.Generator().manual_seed(1))

Convert = Callable[[Mapping[str, Tensor], Mapping[str, Any]], dict[str, Tensor]]


def randomised(theirs: Any, std: float = 0.3) -> Any:
    """Float64 weights of a size at which every part is heard; gains around what they are."""
    theirs = theirs.double().eval()
    with torch.no_grad():
        for number, parameter in enumerate(theirs.parameters()):
            drawn = noise(*parameter.shape, seed=number)
            parameter.copy_(std * drawn if parameter.ndim > 1 else parameter + 0.1 * drawn)
        for number, (name, buffer) in enumerate(theirs.named_buffers()):
            if name.endswith("final_logits_bias"):
                buffer.copy_(noise(*buffer.shape, seed=number))
    return theirs


def ours(preset: str, theirs: Any, convert: Convert, *overrides: str) -> Transformer:
    """The preset's model with tiny sizes and their weights, none missing and none left over."""
    model = tiny(f"preset={preset}", *overrides)
    weights = convert(theirs.state_dict(), theirs.config.to_dict())
    if "task.head.weight" not in weights:
        weights["task.head.weight"] = weights["embedding.weight"]
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert (missing, unexpected) == ([], [])
    return model


@torch.no_grad()
def scores(model: Transformer, ids: Tensor, **given: Any) -> Tensor:
    """(B, T, V)."""
    batch = Batch(ids, ids, torch.tensor(ids.numel()), ids.numel(), **given)
    return model.task.scores(model.features(batch), batch)[0].unflatten(0, ids.shape)


def assert_same(mine: Tensor, theirs: Tensor) -> None:
    """Equal scores, which say something: they differ between positions and between tokens."""
    assert float(theirs.std(dim=-1).min()) > 0.1
    assert float((theirs[:, 1:] - theirs[:, :-1]).abs().mean()) > 0.1
    torch.testing.assert_close(mine, theirs.detach().double(), rtol=0, atol=TOLERANCE)

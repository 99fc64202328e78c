"""The models of the conformance suite, and how their features are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import Batch
from tests.conftest import options
from tests.helpers.assembly import MAX_LEN, WORDS, assemble
from tests.helpers.variants import built_class

KINDS = {name: built_class("model", name) for name in options("model")}
EXACT = 1e-10  # between two orders of the same float64 arithmetic
LENGTHS = (MAX_LEN, 5)
IDS = torch.randint(0, 256, (2, MAX_LEN), generator=torch.Generator().manual_seed(0))
PADDING = torch.arange(MAX_LEN) >= torch.tensor(LENGTHS)[:, None]
SOURCE = IDS.flip(0).masked_fill(PADDING, WORDS.pad_id)


def made(kind: str, choices: Mapping[str, str]) -> Transformer:
    """A tiny model in float64. Raises ValueError where the options cannot work together.

    Its weights are moved a little, the same for one name in every model: many parts start at zero,
    and what is never heard passes every check.
    """
    model = assemble(KINDS[kind], **choices)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            seed = int.from_bytes(sha256(name.encode()).digest()[:7], "big")
            generator = torch.Generator().manual_seed(seed)
            parameter += 0.05 * torch.randn(
                parameter.shape, generator=generator, dtype=torch.float64
            )
    return model


def near(a: Tensor, b: Tensor, tolerance: float = EXACT) -> bool:
    """Equal up to a share of the largest number."""
    return a.shape == b.shape and bool(((a - b).abs() <= tolerance * (1 + b.abs().max())).all())


def features(model: Transformer, ids: Tensor, rows: slice = slice(None), **given: Any) -> Tensor:
    """(B, T, D); a model with a source reads the padded one."""
    if model.has_source:
        given = {"source_ids": SOURCE[rows], "source_padding": PADDING[rows]} | given
    return model.features(Batch(ids, ids, torch.tensor(ids.numel()), ids.numel(), **given))


def decoded(model: Transformer, prompts: list[Tensor], tails: Tensor) -> Tensor:
    """Features of prompts and of the tokens after them, read with a cache, one token at a time."""
    if model.has_source:
        sources = [SOURCE[i, : LENGTHS[i]].numpy() for i in range(len(prompts))]
        state, _, _ = model.begin(sources)
        ids, padding = torch.stack(prompts), None
    else:
        state, ids, padding = model.begin([np.asarray(prompt) for prompt in prompts])
    steps = [model.decode(ids, state, padding)]
    steps += [model.decode(tails[:, t : t + 1], state) for t in range(tails.shape[1])]
    return torch.cat(steps, dim=1)

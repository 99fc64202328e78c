"""Models that start with the weights of a folder, without a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from lightning_transformer.build import build, build_model
from lightning_transformer.convert.init_from import started_arguments
from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import Batch
from lightning_transformer.training.starting_weights import StartingWeights, load_start
from tests.conftest import compose_config
from tests.helpers.model_folders import N_ROWS

IDS = torch.randint(7, N_ROWS, (2, 12), generator=torch.Generator().manual_seed(0))
SOURCE = torch.randint(7, N_ROWS, (2, 9), generator=torch.Generator().manual_seed(1))


def started_config(folder: Path, *typed: str) -> DictConfig:
    """What a command line with init_from= composes."""
    return compose_config(*started_arguments([f"init_from={folder}", *typed]))


def started(
    folder: Path, *typed: str, labels: tuple[str, ...] = ("a", "b"), seed: int = 1
) -> tuple[Transformer, StartingWeights, list[str]]:
    """A model with the weights of a folder, what is recorded, and what was said."""
    own = [] if any(text.startswith("data.seq_len") for text in typed) else ["data.seq_len=16"]
    cfg = started_config(folder, *own, *typed)
    vocabulary = build(cfg, "tokenizer").train([])
    model = build_model(cfg, vocabulary=vocabulary, labels=labels, seed=seed)
    said: list[str] = []
    found = load_start(cfg, model, said.append)
    return model.eval(), found, said


@torch.no_grad()
def scores(model: Transformer, ids: Tensor, **given: Any) -> Tensor:
    batch = Batch(ids, ids, torch.tensor(ids.numel()), ids.numel(), **given)
    return model.task.scores(model.features(batch), batch)[0].unflatten(0, ids.shape)

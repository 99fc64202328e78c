"""Checks that need the data: enough for a batch, and memory for the vocabulary that it has."""

import torch
from omegaconf import DictConfig

from lightning_transformer.build import build, build_model, refusing
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.loading.train_loader import check_batch_size
from lightning_transformer.training.preflight.build import check_build
from lightning_transformer.training.preflight.memory import check_activations, n_processes
from lightning_transformer.training.trainer import TrainerOptions


def check_run(cfg: DictConfig, choices: dict[str, str]) -> DataModule:
    """Check a run as its start does, without starting it; return its data, which have been read.

    choices: group to option. Raises ConfigError in one line.
    """
    data = build(cfg, "data")
    assert isinstance(data, DataModule)
    check_build(cfg, data, choices)
    assert isinstance(build(cfg, "trainer"), TrainerOptions)
    with refusing(cfg, "data"):
        data.prepare()
        n_examples = len(data.splits["train"])
        check_batch_size(data.batch_size, n_examples, cfg.trainer.accumulate, n_processes(cfg))
        with torch.device("meta"):
            model = build_model(cfg, vocabulary=data.vocabulary, labels=data.labels or [], seed=0)
        check_activations(cfg, model, data, data.vocabulary.size)
    return data

"""Checks against this machine: workers of the data, kernels; then memory and precision."""

import os

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.config.auto_precision import is_wide
from lightning_transformer.data.base import DataModule
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.attention.kernels.base import LimitedTraining
from lightning_transformer.training.preflight.memory import check_activations, check_memory
from lightning_transformer.training.preflight.precision import (
    check_gather,
    check_precision,
    device_kind,
)


def check_machine(cfg: DictConfig, model: Transformer, data: DataModule) -> None:
    """Raise ValueError for sizes, workers, a precision or a kernel that this machine cannot do.

    model: built on the meta device.
    """
    check_memory(cfg, model)
    limit = max(64, 8 * (os.cpu_count() or 1))
    if data.num_workers > limit:
        raise ValueError(
            f"data.num_workers={data.num_workers} must be at most {limit} here, for example "
            f"{os.cpu_count()}"
        )
    shards = OmegaConf.select(cfg, "trainer.strategy.tensor_parallel_size") is not None
    device = device_kind(str(cfg.trainer.accelerator))
    for module in model.modules():
        kernel = getattr(module, "kernel", None)
        if isinstance(kernel, LimitedTraining):
            dropout = getattr(module, "dropout", 0.0)
            kernel.check_training(device, dropout if isinstance(dropout, float) else 0.0)
    asked = str(cfg.trainer.precision), str(cfg.trainer.accelerator)
    check_precision(*asked, shards=shards)
    if shards:
        gather = str(OmegaConf.select(cfg, "trainer.strategy.gather"))
        check_gather(gather, *asked, wide=is_wide(cfg))
    check_activations(cfg, model, data)

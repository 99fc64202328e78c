"""Refusing, before anything is allocated, what this machine cannot hold or do."""

import os

from omegaconf import DictConfig, ListConfig, OmegaConf

from lightning_transformer.data.base import DataModule
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn import checks
from lightning_transformer.nn.attention.kernels.base import LimitedTraining
from lightning_transformer.nn.position.learned import Learned
from lightning_transformer.training.preflight.memory import check_activations, check_memory
from lightning_transformer.training.preflight.precision import check_precision, device_kind

MOST_PROCESSES = 65536  # on one machine, and machines
MOST_MINUTES = 10_000_000  # nineteen years


def check_machine(cfg: DictConfig, model: Transformer, data: DataModule) -> None:
    """Raise ValueError for sizes, workers, a precision or a kernel that this machine lacks.

    model: built on the meta device.
    """
    for key in ("devices", "num_nodes"):
        count = cfg.trainer[key]
        if isinstance(count, int):
            checks.between(f"trainer.{key}", count, 1, MOST_PROCESSES)
        elif count != "auto":
            raise ValueError(f"trainer.{key}={count} must be a whole number, such as 1, or auto")
    minutes = cfg.trainer.max_minutes
    if minutes is not None and minutes > MOST_MINUTES:
        raise ValueError(f"trainer.max_minutes={minutes} must be at most {MOST_MINUTES}, or null")
    plugins = cfg.trainer.plugins
    if plugins is not None and not isinstance(plugins, ListConfig):
        raise ValueError(f"trainer.plugins={plugins} must be a list, such as [], or null")
    check_memory(cfg, sum(p.numel() for p in model.parameters()))
    limit = max(64, 8 * (os.cpu_count() or 1))
    if data.num_workers > limit:
        raise ValueError(
            f"data.num_workers={data.num_workers} must be at most {limit} here, for example "
            f"{os.cpu_count()}"
        )
    most = int(cfg.model.max_len)
    if data.seq_len > most and any(isinstance(m, Learned) for m in model.modules()):
        raise ValueError(
            f"data.seq_len={data.seq_len} is above model.max_len={most}, all that position=learned "
            "would know; raise model.max_len or use position=rope"
        )
    shards = OmegaConf.select(cfg, "trainer.strategy.tensor_parallel_size") is not None
    device = device_kind(str(cfg.trainer.accelerator))
    for module in model.modules():
        kernel = getattr(module, "kernel", None)
        if isinstance(kernel, LimitedTraining):
            dropout = getattr(module, "dropout", 0.0)
            kernel.check_training(device, dropout if isinstance(dropout, float) else 0.0)
    check_precision(str(cfg.trainer.precision), str(cfg.trainer.accelerator), shards=shards)
    check_activations(cfg, model, data)

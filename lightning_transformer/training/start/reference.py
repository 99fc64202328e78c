"""What a loss compares with, said of a run and checked before it."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.errors import ConfigError
from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.reference import n_copied, needs_reference


def reference_facts(model: Transformer) -> dict[str, str]:
    """What a result records: {} without a reference, else which kind it is."""
    if not needs_reference(model.task):
        return {}
    return {"kind": "values at the start" if n_copied(model) else "adapter off"}


def check_reference(cfg: DictConfig, model: Transformer) -> None:
    """Refuse values of the start with a model that is cut over devices; ConfigError."""
    if not n_copied(model):
        return
    if OmegaConf.select(cfg, "trainer.strategy.tensor_parallel_size") is not None:
        raise ConfigError(
            "trainer cuts the model over devices, where a loss that compares with the model of the "
            "start is not tested; use trainer=ddp, or a loss without a reference such as "
            "preference=simpo"
        )

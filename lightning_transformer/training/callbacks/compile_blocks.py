"""Activation checkpointing and torch.compile, block by block."""

from typing import Any

import lightning as L
from torch import nn

from lightning_transformer.errors import ConfigError
from lightning_transformer.hardware.compiler import missing_for_cpu
from lightning_transformer.nn.ffn.moe import MoE
from lightning_transformer.nn.stack import Stack


class CompileBlocks(L.Callback):
    """How the blocks of a model are computed: again in the backward pass, compiled, or neither.

    Lightning sets callbacks up before it shards the model, which is the order that is needed:
    checkpoint, compile, shard.
    """

    def __init__(self, *, activation_checkpointing: bool = False, compile: bool = False) -> None:
        self.activation_checkpointing, self.compile = activation_checkpointing, compile
        self._done = False

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self._done or not (self.activation_checkpointing or self.compile):
            return
        self._done = True
        if self.compile:
            _check_compiler(trainer)
        if self.compile and self.activation_checkpointing:
            _check_experts(pl_module)
        for module in pl_module.modules():
            if isinstance(module, Stack):
                if self.activation_checkpointing:
                    module.checkpoint_blocks()
                if self.compile:
                    module.compile_blocks()


def _check_compiler(trainer: Any) -> None:
    missing = missing_for_cpu() if trainer.strategy.root_device.type == "cpu" else None
    if missing is not None:
        raise ConfigError(
            f"trainer.compile=true on a CPU needs {missing}; install it, or use "
            "trainer.compile=false"
        )


def _check_experts(model: nn.Module) -> None:
    if has_experts(model):
        raise ConfigError(
            "trainer.compile=true with trainer.activation_checkpointing=true would leave blocks "
            "with experts uncompiled, because these write down how they route; use one of the two"
        )


def has_experts(model: nn.Module) -> bool:
    """Whether some layer routes tokens to experts."""
    return any(isinstance(module, MoE) for module in model.modules())

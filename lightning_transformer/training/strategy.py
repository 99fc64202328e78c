"""Lightning's model parallelism, with checkpoints that do not depend on how a model was cut."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.strategies.strategy import Strategy
from torch.optim import Optimizer

from lightning_transformer.checkpoint.sharded import (
    empty_like,
    is_sharded,
    load_sharded,
    save_sharded,
)
from lightning_transformer.distributed.full_state import (
    full_optimizer_state,
    full_state_dict,
    load_optimizer,
    load_weights,
    ordered,
)
from lightning_transformer.errors import ConfigError
from lightning_transformer.nn import checks

GATHERED_IN = {"float32": None, "bf16": torch.bfloat16}  # None: in the dtype of the shards


def computing(trainer: L.Trainer) -> AbstractContextManager[Any]:
    """Where a model computes outside Lightning's steps, such as samples: in float32 if it can.

    Weights that are gathered in bfloat16 need autocast.
    """
    if getattr(trainer.strategy, "gathered_in", None) is None:
        return nullcontext()
    context: AbstractContextManager[Any] = trainer.precision_plugin.forward_context()
    return context


class ModelParallel(ModelParallelStrategy):
    """Weights sharded over data_parallel_size devices, layers over tensor_parallel_size.

    A checkpoint is that of one process: full tensors, in one file, written through the trainer's
    CheckpointIO by the first process. With sharded_checkpoints each process writes its part into a
    folder instead. Any strategy and any number of devices can go on from either.

    With gather=bf16 weights are gathered in bfloat16, which precision=bf16-mixed makes of matrices
    anyway; shards, what the optimizer keeps and sums of gradients over devices stay in float32.
    """

    def __init__(
        self,
        *,
        data_parallel_size: int = 1,
        tensor_parallel_size: int = 1,
        gather: str = "float32",
        sharded_checkpoints: bool = False,
    ) -> None:
        for key, size in (("data", data_parallel_size), ("tensor", tensor_parallel_size)):
            checks.at_least(f"trainer.strategy.{key}_parallel_size", size, 1)
        if gather not in tuple(GATHERED_IN):
            raise ConfigError(f"trainer.strategy.gather={gather} must be float32 or bf16")
        if gather == "bf16" and data_parallel_size == 1 and tensor_parallel_size > 1:
            raise ConfigError(
                "trainer.strategy.gather=bf16 with data_parallel_size=1 has nothing to gather: no "
                "weight is in shards; use gather=float32 or data_parallel_size=2"
            )
        super().__init__(data_parallel_size, tensor_parallel_size)
        self.gathered_in = GATHERED_IN[gather]
        self.sizes = data_parallel_size, tensor_parallel_size
        self.sharded_checkpoints = sharded_checkpoints

    def check(self, devices: int | str, num_nodes: int) -> None:
        """Refuse sizes whose product is not the number of processes."""
        data, tensor = self.sizes
        if not isinstance(devices, int):
            raise ConfigError(
                f"trainer.devices={devices} does not say how the model is cut; "
                f"use trainer.devices={data * tensor}"
            )
        if data * tensor != devices * num_nodes:
            n = devices * num_nodes
            pairs = ", ".join(f"{n // t} x {t}" for t in range(1, n + 1) if n % t == 0)
            raise ConfigError(
                f"trainer.strategy.data_parallel_size={data} x tensor_parallel_size={tensor} is "
                f"{data * tensor}, not the {n} processes of trainer.devices x num_nodes; "
                f"possible here: {pairs}"
            )

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        assert self.lightning_module is not None
        return full_state_dict(self.lightning_module, cut=self.sharded_checkpoints)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        assert self.lightning_module is not None
        load_weights(self.lightning_module, checkpoint["state_dict"], strict=strict)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        assert self.lightning_module is not None
        plain = getattr(optimizer, "_optimizer", optimizer)  # without Lightning's wrapper
        return full_optimizer_state(self.lightning_module, plain, cut=self.sharded_checkpoints)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        assert self.lightning_module is not None
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            load_optimizer(self.lightning_module, optimizer, state)

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None
    ) -> None:
        path = Path(self.broadcast(filepath))
        if self.sharded_checkpoints:
            save_sharded(checkpoint, path)
        else:
            Strategy.save_checkpoint(self, checkpoint, path, storage_options)

    def load_checkpoint(
        self, checkpoint_path: Any, weights_only: bool | None = None
    ) -> dict[str, Any]:
        path = Path(self.broadcast(checkpoint_path))
        if is_sharded(path):
            return load_sharded(path, self._room)
        return Strategy.load_checkpoint(self, path, weights_only)

    def _room(self, name: str, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
        """Where a tensor of a sharded checkpoint is to be read to: as the model is cut now."""
        assert self.lightning_module is not None
        part, *rest = name.split("/")
        own: Any = None
        if part == "state_dict":
            own = self.lightning_module.state_dict().get("/".join(rest))
        elif self.optimizers:
            number, _, place = rest[0], rest[1], int(rest[2])
            own = ordered(self.lightning_module, self.optimizers[int(number)])[place]
        if own is None or own.shape != shape:
            return torch.empty(shape, dtype=dtype)
        return empty_like(own, dtype)

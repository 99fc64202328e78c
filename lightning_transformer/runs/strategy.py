"""Lightning's model parallelism, with checkpoints that do not depend on how a model was cut."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.strategies.strategy import Strategy
from torch.optim import Optimizer

from lightning_transformer.errors import ConfigError
from lightning_transformer.nn import checks
from lightning_transformer.runs.whole import (
    load_optimizer,
    load_weights,
    whole_optimizer,
    whole_weights,
)


class ModelParallel(ModelParallelStrategy):
    """Weights sharded over data_parallel_size devices, layers over tensor_parallel_size.

    A checkpoint is that of one process: whole tensors, in one file, written through the trainer's
    CheckpointIO by the first process. Any strategy and any number of devices can go on from it.
    """

    def __init__(self, *, data_parallel_size: int = 1, tensor_parallel_size: int = 1) -> None:
        for key, size in (("data", data_parallel_size), ("tensor", tensor_parallel_size)):
            checks.at_least(f"trainer.strategy.{key}_parallel_size", size, 1)
        super().__init__(data_parallel_size, tensor_parallel_size)
        self.sizes = data_parallel_size, tensor_parallel_size

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
        return whole_weights(self.lightning_module)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        assert self.lightning_module is not None
        load_weights(self.lightning_module, checkpoint["state_dict"], strict=strict)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        assert self.lightning_module is not None
        return whole_optimizer(self.lightning_module, getattr(optimizer, "_optimizer", optimizer))

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        assert self.lightning_module is not None
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            load_optimizer(self.lightning_module, optimizer, state)

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None
    ) -> None:
        Strategy.save_checkpoint(self, checkpoint, self.broadcast(filepath), storage_options)

    def load_checkpoint(
        self, checkpoint_path: Any, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return Strategy.load_checkpoint(self, checkpoint_path, weights_only)

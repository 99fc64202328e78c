"""Ranks that read different examples."""

from typing import Any, TypeVar

import torch
from lightning.pytorch.strategies import ModelParallelStrategy

T = TypeVar("T")


def data_ranks(trainer: Any) -> tuple[int, int]:
    """(rank, number) of this process among those that read different examples.

    Processes that share the layers of one model (tensor parallelism) read the same ones, so that
    their number is that of all processes divided by the degree.
    """
    if trainer.world_size == 1:
        return 0, 1
    if not isinstance(trainer.strategy, ModelParallelStrategy):
        return trainer.global_rank, trainer.world_size
    mesh = trainer.strategy.device_mesh["data_parallel"]
    return mesh.get_local_rank(), mesh.size()


def n_data_ranks(trainer: Any) -> int:
    """The number of processes that will read different examples, before there are any."""
    if isinstance(trainer.strategy, ModelParallelStrategy):
        return int(trainer.strategy._data_parallel_size)
    return trainer.world_size


def gather_objects(trainer: Any, value: T) -> list[T]:
    """The value of every process, by rank: anything that pickle takes. Call on all of them."""
    if trainer.world_size == 1:
        return [value]
    found: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(found, value)
    return found

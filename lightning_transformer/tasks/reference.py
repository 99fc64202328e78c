"""The model as it was at the start of a run, by which the trained one is judged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn

from lightning_transformer.nn.adapter.base import adapters_off, only_adapters_train
from lightning_transformer.optim.trained_set import trained_parameters
from lightning_transformer.tasks.batch import Batch
from lightning_transformer.tasks.responses import ResponseLogProbs, response_log_probs


class Reference:
    """Log-probabilities of the model as it was at the start, beside the one that goes on.

    Where adapters are all that is trained, that is the model without them, which takes no memory.
    Else the values of all that training changes are kept, and stand in the model while it is asked.
    They are no parameters and in no average; checkpoints keep them (`state`).
    """

    def __init__(self) -> None:
        self._values: dict[str, Tensor] | None = None  # {}: adapters off

    def __deepcopy__(self, memo: dict[int, Any]) -> Reference:
        return self  # nothing changes it

    @torch.no_grad()
    def begin(self, model: nn.Module) -> None:
        """Take the model as it is for the start, unless there is one."""
        if self._values is None:
            kept = {} if only_adapters_train(model) else dict(_changing(model))
            self._values = {name: value.clone() for name, value in kept.items()}

    @torch.no_grad()
    def log_probs(
        self, model: Any, batch: Batch, labels: Tensor, temperature: float = 1.0
    ) -> ResponseLogProbs:
        """Of labels (R, T) in a batch, without dropout and without a gradient."""
        with evaluating(model), self._at_start(model):
            features = model.features(batch)
            return response_log_probs(model.task, features, labels, batch.places, temperature)

    @contextmanager
    def _at_start(self, model: nn.Module) -> Iterator[None]:
        """Within, the model computes what it did at the start."""
        assert self._values is not None, "begin comes first"
        if not self._values:
            with adapters_off(model):
                yield
            return
        now = list(_changing(model))
        values = [value.data for _, value in now]
        for name, value in now:  # a resumed run may have another device, or precision
            self._values[name] = value.data = self._values[name].to(value)
        try:
            yield
        finally:
            for (_, value), data in zip(now, values, strict=True):
                value.data = data

    def state(self) -> dict[str, Tensor] | None:
        """The values by name, for a checkpoint: {} with adapters off, None before the start."""
        return None if self._values is None else dict(self._values)

    def load(self, state: dict[str, Tensor] | None) -> None:
        """Take on a state."""
        self._values = None if state is None else dict(state)


@runtime_checkable
class Compares(Protocol):
    """A task that may compare the trained model with the one of the start."""

    reference: Reference

    @property
    def needs_reference(self) -> bool:
        """Whether its loss does."""
        ...


def needs_reference(task: Any) -> TypeGuard[Compares]:
    """Whether the loss of a task compares with a reference."""
    return isinstance(task, Compares) and task.needs_reference


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within, no module is in training mode."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def n_copied(model: Any) -> int:
    """How many weights a run keeps as they were at the start; model: with its adapter."""
    if not needs_reference(model.task) or only_adapters_train(model):
        return 0
    return sum(parameter.numel() for parameter in trained_parameters(model))


def _changing(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """What training changes: parameters with a gradient, and buffers that checkpoints hold."""
    kept = model.state_dict().keys()
    yield from ((name, p) for name, p in model.named_parameters() if p.requires_grad)
    yield from ((name, buffer) for name, buffer in model.named_buffers() if name in kept)

"""Weights and optimizer state as one process has them, from and to a model that is cut in shards.

The format is that of torch's own `state_dict()` of a model that is not cut: it is the same for any
number of processes, and an ordinary checkpoint.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from lightning_transformer.distributed.local_part import full, shard_as


def full_state_dict(model: nn.Module, *, cut: bool = False) -> dict[str, Any]:
    """The state dict with full tensors, on the CPU; call it on every process.

    cut: leave DTensors as they are, for a checkpoint of which each process writes its part.
    """
    return {n: value if cut else _full(value) for n, value in model.state_dict().items()}


def load_weights(model: nn.Module, weights: Mapping[str, Any], *, strict: bool = True) -> None:
    """Load full tensors, which every process has read, into a model that may be cut."""
    own = model.state_dict()
    cut = {n: _like(value, own[n]) if n in own else value for n, value in weights.items()}
    model.load_state_dict(cut, strict=strict)


def full_optimizer_state(
    model: nn.Module, optimizer: Optimizer, *, cut: bool = False
) -> dict[str, Any]:
    """The optimizer's state dict with full tensors, unless cut; call it on every process.

    Groups that were parted because their parameters are cut differently are one again.
    """
    state = {
        number: {k: v if cut else _full(v) for k, v in optimizer.state[parameter].items()}
        for number, parameter in enumerate(ordered(model, optimizer))
        if parameter in optimizer.state
    }
    groups, first = [], 0
    for name, parts in _by_name(optimizer).items():
        n = sum(len(part["params"]) for part in parts)
        options = {key: value for key, value in parts[0].items() if key != "params"}
        groups.append({**options, "params": list(range(first, first + n))})
        first += n
        assert name == options.get("name")
    return {"state": state, "param_groups": groups}


def load_optimizer(model: nn.Module, optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Load the state of `full_optimizer_state`, or of torch for a model that is not cut.

    Raises ValueError if it is of other groups of parameters.
    """
    parameters = ordered(model, optimizer)
    options: dict[int, Mapping[str, Any]] = {
        number: group for group in saved["param_groups"] for number in group["params"]
    }
    sizes = [len(group["params"]) for group in saved["param_groups"]]
    own = [sum(len(g["params"]) for g in parts) for parts in _by_name(optimizer).values()]
    if sizes != own:
        raise ValueError(
            f"optimizer: the saved state has groups of {sizes} parameters and the model of {own}; "
            "resume with the model and optimizer that it was saved with"
        )
    numbers = {id(parameter): number for number, parameter in enumerate(parameters)}
    state, groups, first = {}, [], 0
    for group in optimizer.param_groups:
        here = [numbers[id(parameter)] for parameter in group["params"]]
        for place, (number, parameter) in enumerate(zip(here, group["params"], strict=True)):
            if number in saved["state"]:
                entries = saved["state"][number].items()
                state[first + place] = {k: _like(v, parameter) for k, v in entries}
        places = list(range(first, first + len(here)))
        groups.append({**options[here[0]], "params": places})
        first += len(here)
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _by_name(optimizer: Optimizer) -> dict[Any, list[dict[str, Any]]]:
    """Groups of one name, which differ in how their parameters are cut."""
    found: dict[Any, list[dict[str, Any]]] = {}
    for place, group in enumerate(optimizer.param_groups):
        found.setdefault(group.get("name", place), []).append(group)
    return found


def ordered(model: nn.Module, optimizer: Optimizer) -> list[nn.Parameter]:
    """The parameters as one process would number them."""
    place = {id(parameter): i for i, parameter in enumerate(model.parameters())}
    ordered = []
    for parts in _by_name(optimizer).values():
        together = [parameter for part in parts for parameter in part["params"]]
        ordered += sorted(together, key=lambda p: place[id(p)]) if len(parts) > 1 else together
    return ordered


def _full(value: Any) -> Any:
    """A tensor as one process would have it, on the CPU; anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    with torch.no_grad():
        return full(value).detach().cpu()


def _like(value: Any, own: Any) -> Any:
    """A full tensor, cut as `own` is; what is not of its shape (a step count) stays as it is."""
    if not isinstance(value, Tensor) or not isinstance(own, DTensor) or value.shape != own.shape:
        return value
    if isinstance(value, DTensor):  # read from shards
        return value
    return shard_as(own, value.to(own.device))

"""Which parameters an optimizer decays, and which matrices it may orthogonalise."""

from typing import Any

from torch import nn
from torch.distributed.tensor import DTensor

from lightning_transformer.nn.linear import Head

# device types for which torch 2.11 and later ship fused Adam kernels for floating-point tensors
_DEVICES = ("cpu", "cuda", "mps", "xpu")


def param_groups(
    model: nn.Module, weight_decay: float, *, decay_all: bool = False, lr: float | None = None
) -> list[dict[str, Any]]:
    """Put every trainable parameter of the model in exactly one group, with decay or without.

    Weight decay acts on tensors of two or more dimensions that are not embeddings. Norm gains,
    biases, scalars and embeddings get 0; so does a head that is tied to an embedding, because it
    is the same tensor. The rule reads module types and shapes, never names.

    Where the model's initialisation gives weights a learning rate of their own (`Init.lr_scales`),
    they form groups with ``lr = factor * lr`` and ``weight_decay / factor``, which leaves the decay
    per step the same.

    weight_decay: fraction of a weight that is taken off per step and per unit of lr. decay_all:
    whether embeddings, norms, biases and scalars decay as well. lr: peak learning rate, from an
    optimizer to which such factors apply; None from others.

    Groups are named ``decay`` and ``no_decay``, with the factor behind where it is not 1
    (``decay_x0.25``). There may be several of one name where parameters lie on the processes in
    different ways: torch updates a group in one call, which takes either plain tensors or DTensors
    of one mesh.

    Raises ValueError when nothing in the model is trainable, decay_all decays nothing, or the
    initialisation gives factors to an optimizer that does not take them.
    """
    if decay_all and weight_decay == 0:
        raise ValueError(
            "optimizer.decay_all=true does nothing at optimizer.weight_decay=0; "
            "set weight_decay=0.1 or decay_all=false"
        )
    embeddings = _ids_of_embeddings(model)
    decay: list[nn.Parameter] = []
    no_decay: list[nn.Parameter] = []
    # parameters() yields a shared tensor once, which is what keeps tied weights in one group
    for parameter in model.parameters():
        if parameter.requires_grad:
            is_matrix = parameter.ndim >= 2 and id(parameter) not in embeddings
            (decay if is_matrix or decay_all else no_decay).append(parameter)
    groups = [
        {"name": name, "params": params, "weight_decay": decayed}
        for name, both, decayed in (("decay", decay, weight_decay), ("no_decay", no_decay, 0.0))
        for params in by_mesh(both)
    ]
    if not groups:
        raise ValueError(
            f"{type(model).__name__} has no trainable parameter; an optimizer needs at least one"
        )
    scheme = getattr(model, "init", None)  # a plain module has none
    return _by_rate(groups, {} if scheme is None else scheme.lr_scales(model), lr)


def _by_rate(
    groups: list[dict[str, Any]], factors: dict[int, float], lr: float | None
) -> list[dict[str, Any]]:
    if not factors:
        return groups
    if lr is None:
        raise ValueError(
            "init=mup gives weights learning rates of their own, which hold for Adam's kind of "
            "update; use optimizer=adamw, adam or lion"
        )
    parted = []
    for group in groups:
        kinds: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            kinds.setdefault(factors.get(id(parameter), 1.0), []).append(parameter)
        for factor, parameters in kinds.items():
            own = {**group, "params": parameters}
            if factor != 1.0:
                own["name"] = f"{group['name']}_x{factor:g}"
                own["lr"], own["weight_decay"] = factor * lr, group["weight_decay"] / factor
            parted.append(own)
    # the rate that is logged as optim/lr is that of the last group
    return sorted(parted, key=lambda own: "lr" not in own)


def by_mesh(parameters: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Plain parameters together, and those of each mesh of processes."""
    found: dict[Any, list[nn.Parameter]] = {}
    for parameter in parameters:
        mesh = parameter.device_mesh if isinstance(parameter, DTensor) else None
        found.setdefault(mesh, []).append(parameter)
    return list(found.values())


def matrices(model: nn.Module) -> list[nn.Parameter]:
    """Return the hidden matrices: trainable 2-D weights of ``nn.Linear``, each once, in order.

    The output projection (`Head`) and a weight shared with it or with an embedding are left out:
    their rows belong to tokens or classes, which orthogonalised updates do not suit (Jordan 2024).
    """
    excluded = _ids_of_embeddings(model)
    excluded |= {id(module.weight) for module in model.modules() if isinstance(module, Head)}
    found: dict[int, nn.Parameter] = {}
    for module in model.modules():
        if isinstance(module, nn.Linear):
            weight = module.weight
            # a parametrized weight is computed from parameters that AdamW takes
            if isinstance(weight, nn.Parameter) and weight.requires_grad and weight.ndim == 2:
                found[id(weight)] = weight
    return [weight for key, weight in found.items() if key not in excluded]


def _ids_of_embeddings(model: nn.Module) -> set[int]:
    return {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}


def can_fuse(model: nn.Module) -> bool:
    """Say whether fused Adam takes every trainable parameter; without it only rounding differs."""
    return all(
        parameter.is_floating_point() and parameter.device.type in _DEVICES
        for parameter in model.parameters()
        if parameter.requires_grad
    )

"""Which parameters an optimizer decays, and which matrices it may orthogonalise."""

from typing import Any

from torch import nn
from torch.distributed.tensor import DTensor

from lightning_transformer.nn.parameter_roles import Role, parameter_roles

MATRICES = "matrices"  # the name of a group of hidden matrices that have a rule of their own

# device types for which torch 2.11 and later ship fused Adam kernels for floating-point tensors
_DEVICES = ("cpu", "cuda", "mps", "xpu")


def param_groups(
    model: nn.Module, weight_decay: float, *, decay_all: bool = False, lr: float | None = None
) -> list[dict[str, Any]]:
    """Put every trainable parameter of the model in exactly one group, with decay or without.

    Weight decay acts on weights of linear maps; embeddings, gains, biases, gates and mixing factors
    get 0, and so does a head that is tied to an embedding, because it is the same tensor. The rule
    reads the roles that modules declare (`parameter_roles`), never names or shapes.

    Where the model's initialisation gives weights a learning rate of their own (`Init.lr_scales`),
    they form groups with ``lr = factor * lr`` and ``weight_decay / factor``, which leaves the decay
    per step the same.

    weight_decay: fraction of a weight that is taken off per step and per unit of lr. decay_all:
    whether all others decay as well. lr: peak learning rate, from an optimizer to which such
    factors apply; None from others.

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
    decay: list[nn.Parameter] = []
    no_decay: list[nn.Parameter] = []
    for parameter, role in parameter_roles(model).items():
        if parameter.requires_grad:
            (decay if role.decays or decay_all else no_decay).append(parameter)
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
    """Return the hidden matrices: trainable weights of the role MATRIX, each once, in order.

    Left out are output layers, whose rows belong to tokens or classes, layers with an output per
    head or expert, and weights shared with either or with an embedding: orthogonalised updates do
    not suit them (Jordan 2024).
    """
    roles = parameter_roles(model).items()
    return [p for p, role in roles if role is Role.MATRIX and p.requires_grad]


def without(taken: list[nn.Parameter], groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The groups without some parameters; groups that then have none are left out."""
    ids = {id(parameter) for parameter in taken}
    rest = [
        {**group, "params": [p for p in group["params"] if id(p) not in ids]} for group in groups
    ]
    return [group for group in rest if group["params"]]


def can_fuse(model: nn.Module) -> bool:
    """Say whether fused Adam takes every trainable parameter; without it only rounding differs."""
    return all(
        parameter.is_floating_point() and parameter.device.type in _DEVICES
        for parameter in model.parameters()
        if parameter.requires_grad
    )

"""Which parameters an optimizer decays, and which matrices it may orthogonalise."""

from typing import Any

from torch import nn
from torch.distributed.tensor import DTensor

from lightning_transformer.nn.parameter_roles import Role, parameter_roles
from lightning_transformer.optim.trained_set import trained_parameters

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
    per step the same. Factors of the run (`rates`) multiply these rates, and the decay with them.

    weight_decay: fraction of a weight that is taken off per step and per unit of lr. decay_all:
    whether all others decay as well. lr: peak learning rate, from an optimizer to which such
    factors apply; None from others.

    Groups are named ``decay`` and ``no_decay``, with the factor behind where it is not 1
    (``decay_x0.25``). There may be several of one name where parameters lie on the processes in
    different ways: torch updates a group in one call, which takes either plain tensors or DTensors
    of one mesh.

    Raises ValueError when nothing in the model is trainable, decay_all decays nothing, or there are
    factors for an optimizer that does not take them.
    """
    if decay_all and weight_decay == 0:
        raise ValueError(
            "optimizer.decay_all=true does nothing at optimizer.weight_decay=0; "
            "set weight_decay=0.1 or decay_all=false"
        )
    decay: list[nn.Parameter] = []
    no_decay: list[nn.Parameter] = []
    roles = parameter_roles(model)
    for parameter in trained_parameters(model):
        (decay if roles[parameter].decays or decay_all else no_decay).append(parameter)
    groups = [
        {"name": name, "params": params, "weight_decay": decayed}
        for name, both, decayed in (("decay", decay, weight_decay), ("no_decay", no_decay, 0.0))
        for params in by_mesh(both)
    ]
    if not groups:
        raise ValueError(
            f"{type(model).__name__} has no trainable parameter; an optimizer needs at least one"
        )
    # A plain module has neither.
    scheme, updates = getattr(model, "init", None), getattr(model, "updates", None)
    scales = {} if scheme is None else scheme.lr_scales(model)
    rates = {} if updates is None or updates.rates is None else updates.rates(model)
    if lr is None and (scales or rates):
        what = "init=mup" if scales else "rates"
        raise ValueError(
            f"{what} gives weights learning rates of their own, which hold for Adam's kind of "
            f"update; use optimizer=adamw, adam or lion{'' if scales else ', or rates=equal'}"
        )
    return groups if lr is None else _by_rate(groups, scales, rates, lr)


def _by_rate(
    groups: list[dict[str, Any]], scales: dict[int, float], rates: dict[int, float], lr: float
) -> list[dict[str, Any]]:
    if not (scales or rates):
        return groups
    parted = []
    for group in groups:
        kinds: dict[tuple[float, float], list[nn.Parameter]] = {}
        for parameter in group["params"]:
            kind = scales.get(id(parameter), 1.0), rates.get(id(parameter), 1.0)
            kinds.setdefault(kind, []).append(parameter)
        for (scale, rate), parameters in kinds.items():
            own = {**group, "params": parameters}
            if (scale, rate) != (1.0, 1.0):
                own["name"] = f"{group['name']}_x{scale * rate:g}"
                own["lr"], own["weight_decay"] = scale * rate * lr, group["weight_decay"] / scale
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
    roles = parameter_roles(model)
    return [p for p in trained_parameters(model) if roles[p] is Role.MATRIX]


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
        for parameter in trained_parameters(model)
    )

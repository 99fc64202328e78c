"""Range checks and parameter groups for optimizers, and the one wrapper around torch's own."""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.optim.param_groups import can_fuse, param_groups

# Adam's kind of update, for which torch has fused kernels and init=mup gives learning rates.
_ADAM = (torch.optim.Adam, torch.optim.AdamW)

_RULES: dict[str, Callable[[str, float, float], None]] = {
    "lr": checks.positive,
    "muon_lr": checks.positive,
    "weight_decay": checks.non_negative,
    "muon_weight_decay": checks.non_negative,
    "beta1": checks.fraction,
    "beta2": checks.fraction,
    "beta3": checks.fraction,
    "row_beta2": checks.fraction,
    "momentum": checks.fraction,
    "momentum_decay": checks.non_negative,
    "gamma": checks.non_negative,
    "eps": checks.positive,
    "min_rms": checks.positive,
}


def check_options(build: Callable[..., Any], **options: float) -> None:
    """Check the range of options of the optimizer function `build`.

    Raises ValueError when one is out of range; the message proposes the default of `build`.
    """
    defaults = inspect.signature(build).parameters
    for name, value in options.items():
        _RULES[name](f"optimizer.{name}", value, defaults[name].default)


@torch.enable_grad()
def closure_loss(closure: Callable[[], Any] | None) -> Any:
    """What a step's closure, called once, returns; None without one."""
    return None if closure is None else closure()


def torch_optimizer(
    build: Callable[..., Any],
    kind: Callable[..., torch.optim.Optimizer],
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    decay_all: bool,
    options: Mapping[str, float] = MappingProxyType({}),
    fixed: Mapping[str, Any] = MappingProxyType({}),
) -> torch.optim.Optimizer:
    """Build an optimizer class of torch, for the function `build`, over the groups of the model.

    These options mean the same in every optimizer::

        lr            peak learning rate, per optimizer step, above 0
        weight_decay  of matrices only, not of embeddings, norms and biases, from 0; decoupled
                      unless the optimizer documents an L2 penalty
        decay_all     whether embeddings, norms and biases decay as well
        beta1, beta2  decay rates of the running means of gradients and squared gradients, [0, 1)
        momentum      decay rate of the sum or mean of past gradients, [0, 1); 0 for none
        eps           added to the root of the second moment, above 0

    kind: class of ``torch.optim``. options: of this list, to be checked. fixed: other arguments of
    the class, under torch's names.
    Raises ValueError when an option is out of range, decay_all has nothing to decay with, or the
    initialisation needs learning rates that the optimizer does not take.
    """
    check_options(build, lr=lr, weight_decay=weight_decay, **options)
    arguments = {**options, **fixed}
    if "beta1" in options:
        arguments["betas"] = (float(arguments.pop("beta1")), float(arguments.pop("beta2")))
    if kind not in _ADAM:
        return kind(param_groups(model, weight_decay, decay_all=decay_all), lr=lr, **arguments)
    groups = param_groups(model, weight_decay, decay_all=decay_all, lr=lr)
    return kind(groups, lr=lr, fused=can_fuse(model) or None, **arguments)

"""Range checks and parameter groups for optimizers, and the one wrapper around torch's own."""

import inspect
from collections.abc import Callable, Mapping
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
    "row_beta2": checks.fraction,
    "momentum": checks.fraction,
    "momentum_decay": checks.non_negative,
    "eps": checks.positive,
    "min_rms": checks.positive,
}


def check_options(build: Callable[..., Any], **options: float) -> None:
    """Check the range of each option of the optimizer function `build`.

    These options mean the same in every optimizer::

        lr            peak learning rate, per optimizer step, above 0
        weight_decay  of matrices only, not of embeddings, norms and biases, from 0; decoupled
                      unless the optimizer documents an L2 penalty
        decay_all     whether embeddings, norms and biases decay as well
        beta1, beta2  decay rates of the running means of gradients and squared gradients, [0, 1)
        momentum      decay rate of the sum or mean of past gradients, [0, 1); 0 for none
        eps           added to the root of the second moment, above 0

    Raises:
        ValueError: when an option is out of range; the message proposes the default of `build`.
    """
    defaults = inspect.signature(build).parameters
    for name, value in options.items():
        _RULES[name](f"optimizer.{name}", value, defaults[name].default)


def torch_optimizer(
    kind: Callable[..., torch.optim.Optimizer],
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    decay_all: bool,
    options: Mapping[str, Any],
) -> torch.optim.Optimizer:
    """Build an optimizer class of torch over the parameter groups of the model.

    Args:
        kind: class of ``torch.optim``.
        model: gives the parameters; see `param_groups` for which of them decay.
        lr: peak learning rate, per optimizer step.
        weight_decay: see `check_options`.
        decay_all: whether embeddings, norms and biases decay as well.
        options: all other arguments of the class, under torch's names.

    Raises:
        ValueError: when decay_all has nothing to decay with, or the initialisation needs learning
            rates that the optimizer does not take.
    """
    if kind not in _ADAM:
        return kind(param_groups(model, weight_decay, decay_all=decay_all), lr=lr, **options)
    groups = param_groups(model, weight_decay, decay_all=decay_all, lr=lr)
    return kind(groups, lr=lr, fused=can_fuse(model) or None, **options)

"""Adagrad: gradients over the root of the sum of all their squares."""

import torch
from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.optim.param_groups import param_groups


def adagrad(
    model: nn.Module,
    *,
    lr: float = 1e-2,
    weight_decay: float = 0.0,
    decay_all: bool = False,
    eps: float = 1e-10,
) -> torch.optim.Optimizer:
    """Build Adagrad: ``s += g * g``, then ``w -= lr * g / (sqrt(s) + eps)``.

    Source: Duchi et al. 2011.

    Args:
        model: gives the parameters; see `param_groups` for which of them decay.
        lr: peak learning rate, per optimizer step.
        weight_decay: of matrices only; added to the gradient (an L2 penalty).
        decay_all: whether embeddings, norms and biases decay as well.
        eps: added to the root of the sum.

    Raises:
        ValueError: when an option is out of range, or decay_all has nothing to decay with.
    """
    checks.positive("optimizer.lr", lr, "1e-2")
    checks.non_negative("optimizer.weight_decay", weight_decay, "0.0")
    checks.positive("optimizer.eps", eps, "1e-10")
    return torch.optim.Adagrad(
        param_groups(model, weight_decay, decay_all=decay_all), lr=lr, eps=eps
    )

"""Stochastic gradient descent with Nesterov momentum."""

import torch
from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.optim.param_groups import param_groups


def sgd(
    model: nn.Module,
    *,
    lr: float = 0.1,
    weight_decay: float = 0.0,
    decay_all: bool = False,
    momentum: float = 0.9,
) -> torch.optim.Optimizer:
    """Build SGD: ``b = momentum * b + g``, then ``w -= lr * (g + momentum * b)``.

    Source: Nesterov 1983, in the form of Sutskever et al. 2013 as torch computes it.

    Args:
        model: gives the parameters; see `param_groups` for which of them decay.
        lr: peak learning rate, per optimizer step.
        weight_decay: of matrices only; added to the gradient g (an L2 penalty).
        decay_all: whether embeddings, norms and biases decay as well.
        momentum: decay rate of the sum of past gradients; 0 is plain gradient descent.

    Raises:
        ValueError: when an option is out of range, or decay_all has nothing to decay with.
    """
    checks.positive("optimizer.lr", lr, "0.1")
    checks.non_negative("optimizer.weight_decay", weight_decay, "0.0")
    checks.fraction("optimizer.momentum", momentum, "0.9")
    # torch refuses nesterov at momentum 0, where the two formulas coincide
    return torch.optim.SGD(
        param_groups(model, weight_decay, decay_all=decay_all),
        lr=lr,
        momentum=momentum,
        nesterov=momentum > 0,
    )

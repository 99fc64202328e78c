"""Stochastic gradient descent with Nesterov momentum."""

import torch
from torch import nn

from lightning_transformer.optim.torch_optimizer import check_options, torch_optimizer


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

    Args: those of `check_options`, and
        weight_decay: added to the gradient g (an L2 penalty).
        momentum: decay rate of the sum of past gradients; 0 is plain gradient descent.

    Raises:
        ValueError: when an option is out of range, or decay_all has nothing to decay with.
    """
    check_options(sgd, lr=lr, weight_decay=weight_decay, momentum=momentum)
    # torch refuses nesterov at momentum 0, where the two formulas coincide
    return torch_optimizer(
        torch.optim.SGD,
        model,
        lr=lr,
        weight_decay=weight_decay,
        decay_all=decay_all,
        options={"momentum": momentum, "nesterov": momentum > 0},
    )

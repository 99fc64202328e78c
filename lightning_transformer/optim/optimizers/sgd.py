"""Stochastic gradient descent with Nesterov momentum."""

import torch
from torch import nn

from lightning_transformer.optim.torch_optimizer import torch_optimizer


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

    Options as in `torch_optimizer`; weight_decay is added to the gradient g (an L2 penalty), and
    momentum=0 is plain gradient descent.
    """
    return torch_optimizer(
        sgd,
        torch.optim.SGD,
        model,
        lr=lr,
        weight_decay=weight_decay,
        decay_all=decay_all,
        options={"momentum": momentum},
        # torch refuses nesterov at momentum 0, where the two formulas coincide
        fixed={"nesterov": momentum > 0},
    )

"""RMSprop: gradients over the root of their running mean square."""

import torch
from torch import nn

from lightning_transformer.optim.torch_optimizer import check_options, torch_optimizer


def rmsprop(
    model: nn.Module,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    decay_all: bool = False,
    beta2: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
) -> torch.optim.Optimizer:
    """Build RMSprop: ``b = momentum * b + g / (sqrt(v) + eps)``, then ``w -= lr * b``.

    v is the running mean of squared gradients, from 0 on and not corrected for that.

    Source: Tieleman and Hinton 2012, as torch computes it.

    Options as in `torch_optimizer`; weight_decay is added to the gradient (an L2 penalty).
    """
    check_options(rmsprop, beta2=beta2)
    return torch_optimizer(
        rmsprop,
        torch.optim.RMSprop,
        model,
        lr=lr,
        weight_decay=weight_decay,
        decay_all=decay_all,
        options={"eps": eps, "momentum": momentum},
        fixed={"alpha": float(beta2)},
    )

"""Adagrad: gradients over the root of the sum of all their squares."""

import torch
from torch import nn

from lightning_transformer.optim.torch_optimizer import check_options, torch_optimizer


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

    Args: those of `check_options`, and
        weight_decay: added to the gradient (an L2 penalty).
        eps: added to the root of the sum, above 0.

    Raises:
        ValueError: when an option is out of range, or decay_all has nothing to decay with.
    """
    check_options(adagrad, lr=lr, weight_decay=weight_decay, eps=eps)
    return torch_optimizer(
        torch.optim.Adagrad,
        model,
        lr=lr,
        weight_decay=weight_decay,
        decay_all=decay_all,
        options={"eps": eps},
    )

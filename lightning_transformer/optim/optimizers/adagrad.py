"""Adagrad: gradients over the root of the sum of all their squares."""

import torch
from torch import nn

from lightning_transformer.optim.torch_optimizer import torch_optimizer


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

    Options as in `torch_optimizer`; weight_decay is added to the gradient (an L2 penalty).
    """
    return torch_optimizer(
        adagrad,
        torch.optim.Adagrad,
        model,
        lr=lr,
        weight_decay=weight_decay,
        decay_all=decay_all,
        options={"eps": eps},
    )

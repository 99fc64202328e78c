"""Adamax: Adam with the largest gradient in place of the root of the second moment."""

import torch
from torch import nn

from lightning_transformer.optim.torch_optimizer import torch_optimizer


def adamax(
    model: nn.Module,
    *,
    lr: float = 2e-3,
    weight_decay: float = 0.0,
    decay_all: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Build Adamax: ``u = max(beta2 * u, |g| + eps)``, then ``w -= lr * m_hat / u``.

    Source: Kingma and Ba 2015, section 7.1. weight_decay is added to the gradient (an L2 penalty),
    eps to its size. Options as in `torch_optimizer`.
    """
    return torch_optimizer(
        adamax,
        torch.optim.Adamax,
        model,
        lr=lr,
        weight_decay=weight_decay,
        decay_all=decay_all,
        options={"beta1": beta1, "beta2": beta2, "eps": eps},
    )

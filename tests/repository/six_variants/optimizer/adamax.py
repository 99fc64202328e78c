"""Adamax: Adam with the largest gradient in place of the root of the second moment."""

import torch
from torch import nn

from lightning_transformer.optim.torch_optimizer import check_options, torch_optimizer


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

    Source: Kingma and Ba 2015, section 7.1.

    Args: those of `check_options`, and
        weight_decay: added to the gradient (an L2 penalty).
        eps: added to the size of the gradient, above 0.

    Raises:
        ValueError: when an option is out of range, or decay_all has nothing to decay with.
    """
    check_options(adamax, lr=lr, weight_decay=weight_decay, beta1=beta1, beta2=beta2, eps=eps)
    return torch_optimizer(
        torch.optim.Adamax,
        model,
        lr=lr,
        weight_decay=weight_decay,
        decay_all=decay_all,
        options={"betas": (float(beta1), float(beta2)), "eps": eps},
    )

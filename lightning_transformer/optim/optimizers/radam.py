"""RAdam: Adam that rectifies the variance of its first steps."""

import torch
from torch import nn

from lightning_transformer.optim.torch_optimizer import torch_optimizer


def radam(
    model: nn.Module,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.1,
    decay_all: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.95,
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Build RAdam with decoupled weight decay: Adam with a built-in warm-up.

    ``w -= lr * (weight_decay * w + r_t * m_hat / (sqrt(v) + eps))``, with the correction of v in
    r_t; in the first steps, where the variance of 1 / sqrt(v) has no bound (``rho_t <= 5``),
    ``w -= lr * (weight_decay * w + m_hat)``. With ``rho = 2 / (1 - beta2) - 1``::

        rho_t = rho - 2 * t * beta2**t / (1 - beta2**t)
        r_t**2 = (1 - beta2**t) * (rho_t - 4) * (rho_t - 2) * rho / ((rho - 4) * (rho - 2) * rho_t)

    Source: Liu et al. 2020; its decay is decoupled as in Loshchilov and Hutter 2019. Options as in
    `torch_optimizer`.
    """
    return torch_optimizer(
        radam,
        torch.optim.RAdam,
        model,
        lr=lr,
        weight_decay=weight_decay,
        decay_all=decay_all,
        options={"beta1": beta1, "beta2": beta2, "eps": eps},
        fixed={"decoupled_weight_decay": True},
    )

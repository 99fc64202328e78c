"""NAdam: Adam with Nesterov momentum."""

import torch
from torch import nn

from lightning_transformer.optim.torch_optimizer import torch_optimizer


def nadam(
    model: nn.Module,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.1,
    decay_all: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.95,
    eps: float = 1e-8,
    momentum_decay: float = 4e-3,
) -> torch.optim.Optimizer:
    """Build NAdam with decoupled weight decay: Adam that looks one step ahead.

    ``w -= lr * (weight_decay * w + m_bar / (sqrt(v_hat) + eps))`` where m_bar joins the gradient
    and the mean of the step to come: ``m_bar = (1 - mu_t) * g / (1 - mu_1 ... mu_t) +
    mu_(t+1) * m / (1 - mu_1 ... mu_(t+1))`` and ``mu_t = beta1 * (1 - 0.96 ** (t *
    momentum_decay) / 2)``.

    Source: Dozat 2016; its decay is coupled, this one is that of Loshchilov and Hutter 2019.

    Options as in `torch_optimizer`. momentum_decay: how fast mu_t goes from beta1 / 2 to beta1.
    """
    return torch_optimizer(
        nadam,
        torch.optim.NAdam,
        model,
        lr=lr,
        weight_decay=weight_decay,
        decay_all=decay_all,
        options={"beta1": beta1, "beta2": beta2, "eps": eps, "momentum_decay": momentum_decay},
        fixed={"decoupled_weight_decay": True},
    )

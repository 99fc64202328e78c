"""AdamW: Adam with decoupled weight decay."""

import torch
from torch import nn

from lightning_transformer.optim.torch_optimizer import torch_optimizer


def adamw(
    model: nn.Module,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.1,
    decay_all: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.95,
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Build AdamW: ``w -= lr * (weight_decay * w + m_hat / (sqrt(v_hat) + eps))``.

    Source: Loshchilov and Hutter 2019. beta2 = 0.95 as in GPT-3 (Brown et al. 2020). Options as in
    `torch_optimizer`.
    """
    return torch_optimizer(
        adamw,
        torch.optim.AdamW,
        model,
        lr=lr,
        weight_decay=weight_decay,
        decay_all=decay_all,
        options={"beta1": beta1, "beta2": beta2, "eps": eps},
    )

"""Adam, as the first transformer used it."""

import torch
from torch import nn

from lightning_transformer.optim.torch_optimizer import torch_optimizer


def adam(
    model: nn.Module,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    decay_all: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.98,
    eps: float = 1e-9,
) -> torch.optim.Optimizer:
    """Build Adam: ``w -= lr * m_hat / (sqrt(v_hat) + eps)``.

    Source: Kingma and Ba 2015; the defaults beta2 = 0.98 and eps = 1e-9 are those of
    Vaswani et al. 2017.

    Options as in `torch_optimizer`; unlike in AdamW, weight_decay is added to the gradient (an L2
    penalty).
    """
    return torch_optimizer(
        adam,
        torch.optim.Adam,
        model,
        lr=lr,
        weight_decay=weight_decay,
        decay_all=decay_all,
        options={"beta1": beta1, "beta2": beta2, "eps": eps},
    )

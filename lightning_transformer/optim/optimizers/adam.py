"""Adam, as the first transformer used it."""

import torch
from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.optim.param_groups import can_fuse, param_groups


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

    Args:
        model: gives the parameters; see `param_groups` for which of them decay.
        lr: peak learning rate, per optimizer step.
        weight_decay: of matrices only; added to the gradient (an L2 penalty), unlike in AdamW.
        decay_all: whether embeddings, norms and biases decay as well.
        beta1: decay rate of the running mean of gradients.
        beta2: decay rate of the running mean of squared gradients.
        eps: added to the root of the second moment.

    Raises:
        ValueError: when an option is out of range, or decay_all has nothing to decay with.
    """
    checks.positive("optimizer.lr", lr, "1e-3")
    checks.non_negative("optimizer.weight_decay", weight_decay, "0.0")
    checks.fraction("optimizer.beta1", beta1, "0.9")
    checks.fraction("optimizer.beta2", beta2, "0.98")
    checks.positive("optimizer.eps", eps, "1e-9")
    return torch.optim.Adam(
        param_groups(model, weight_decay, decay_all=decay_all, lr=lr),
        lr=lr,
        betas=(float(beta1), float(beta2)),
        eps=eps,
        fused=can_fuse(model) or None,
    )

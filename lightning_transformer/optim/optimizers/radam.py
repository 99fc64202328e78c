"""RAdam: Adam that rectifies the variance of its first steps."""

import torch
from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.optim.param_groups import param_groups


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

    Source: Liu et al. 2020; its decay is decoupled as in Loshchilov and Hutter 2019.

    Args:
        model: gives the parameters; see `param_groups` for which of them decay.
        lr: peak learning rate, per optimizer step.
        weight_decay: of matrices only, not of embeddings, norms and biases.
        decay_all: whether embeddings, norms and biases decay as well.
        beta1: decay rate of the running mean of gradients.
        beta2: decay rate of the running mean of squared gradients.
        eps: added to the root of the second moment.

    Raises:
        ValueError: when an option is out of range, or decay_all has nothing to decay with.
    """
    checks.positive("optimizer.lr", lr, "1e-3")
    checks.non_negative("optimizer.weight_decay", weight_decay, "0.1")
    checks.fraction("optimizer.beta1", beta1, "0.9")
    checks.fraction("optimizer.beta2", beta2, "0.95")
    checks.positive("optimizer.eps", eps, "1e-8")
    return torch.optim.RAdam(
        param_groups(model, weight_decay, decay_all=decay_all),
        lr=lr,
        betas=(float(beta1), float(beta2)),
        eps=eps,
        decoupled_weight_decay=True,
    )

"""RMSprop: gradients over the root of their running mean square."""

import torch
from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.optim.param_groups import param_groups


def rmsprop(
    model: nn.Module,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    decay_all: bool = False,
    beta2: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
) -> torch.optim.Optimizer:
    """Build RMSprop: ``b = momentum * b + g / (sqrt(v) + eps)``, then ``w -= lr * b``.

    v is the running mean of squared gradients, from 0 on and not corrected for that.

    Source: Tieleman and Hinton 2012, as torch computes it.

    Args:
        model: gives the parameters; see `param_groups` for which of them decay.
        lr: peak learning rate, per optimizer step.
        weight_decay: of matrices only; added to the gradient (an L2 penalty).
        decay_all: whether embeddings, norms and biases decay as well.
        beta2: decay rate of the running mean of squared gradients.
        eps: added to the root of the second moment.
        momentum: decay rate of the sum of past updates; 0 for none.

    Raises:
        ValueError: when an option is out of range, or decay_all has nothing to decay with.
    """
    checks.positive("optimizer.lr", lr, "1e-3")
    checks.non_negative("optimizer.weight_decay", weight_decay, "0.0")
    checks.fraction("optimizer.beta2", beta2, "0.99")
    checks.positive("optimizer.eps", eps, "1e-8")
    checks.fraction("optimizer.momentum", momentum, "0.9")
    return torch.optim.RMSprop(
        param_groups(model, weight_decay, decay_all=decay_all),
        lr=lr,
        alpha=float(beta2),
        eps=eps,
        momentum=momentum,
    )

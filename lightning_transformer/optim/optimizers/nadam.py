"""NAdam: Adam with Nesterov momentum."""

import torch
from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.optim.param_groups import param_groups


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

    Args:
        model: gives the parameters; see `param_groups` for which of them decay.
        lr: peak learning rate, per optimizer step.
        weight_decay: of matrices only, not of embeddings, norms and biases.
        decay_all: whether embeddings, norms and biases decay as well.
        beta1: decay rate of the running mean of gradients, as t grows.
        beta2: decay rate of the running mean of squared gradients.
        eps: added to the root of the second moment.
        momentum_decay: how fast mu_t goes from beta1 / 2 to beta1.

    Raises:
        ValueError: when an option is out of range, or decay_all has nothing to decay with.
    """
    checks.positive("optimizer.lr", lr, "1e-3")
    checks.non_negative("optimizer.weight_decay", weight_decay, "0.1")
    checks.fraction("optimizer.beta1", beta1, "0.9")
    checks.fraction("optimizer.beta2", beta2, "0.95")
    checks.positive("optimizer.eps", eps, "1e-8")
    checks.non_negative("optimizer.momentum_decay", momentum_decay, "4e-3")
    return torch.optim.NAdam(
        param_groups(model, weight_decay, decay_all=decay_all),
        lr=lr,
        betas=(float(beta1), float(beta2)),
        eps=eps,
        decoupled_weight_decay=True,
        momentum_decay=momentum_decay,
    )

"""Lion: the sign of a running mean of gradients."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lightning_transformer.distributed.local_part import local
from lightning_transformer.optim.param_groups import param_groups
from lightning_transformer.optim.torch_optimizer import check_options, closure_loss


class Lion(torch.optim.Optimizer):
    """``w -= lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * w)``, one state m per weight.

    groups: each with its weight_decay. lr: of groups without one. betas: beta1 of the update, beta2
    of ``m = beta2 * m + (1 - beta2) * g`` after it.
    """

    def __init__(self, groups: list[dict[str, Any]], lr: float, betas: tuple[float, float]) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Call the closure once, if there is one, then update; return its value."""
        loss = closure_loss(closure)
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            for p in parameters:
                if not self.state[p]:
                    self.state[p]["exp_avg"] = torch.zeros_like(p)
            if not parameters:
                continue
            beta1, beta2 = group["betas"]
            weights = [local(p) for p in parameters]
            grads = [local(p.grad) for p in parameters]
            means = [local(self.state[p]["exp_avg"]) for p in parameters]
            updates = torch._foreach_lerp(grads, means, beta1)
            torch._foreach_sign_(updates)
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(weights, updates, alpha=-group["lr"])
            torch._foreach_lerp_(means, grads, 1 - beta2)
        return loss


def lion(
    model: nn.Module,
    *,
    lr: float = 1e-4,
    weight_decay: float = 1.0,
    decay_all: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.99,
) -> torch.optim.Optimizer:
    """Build Lion: ``w -= lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * w)``.

    Every weight moves by lr, whatever the size of its gradient, so lr is to be 3 to 10 times
    smaller than AdamW's and weight_decay as many times larger. Memory: one state per weight.

    Source: Chen et al. 2023, algorithm 2.

    Options as in `torch_optimizer`. beta1: weight of the past in the update.
    """
    check_options(lion, lr=lr, weight_decay=weight_decay, beta1=beta1, beta2=beta2)
    groups = param_groups(model, weight_decay, decay_all=decay_all, lr=lr)
    return Lion(groups, lr, (float(beta1), float(beta2)))

"""Schedule-free AdamW: an average of the weights in place of a decaying learning rate."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.distributed.local_part import local
from lightning_transformer.nn import checks
from lightning_transformer.optim.param_groups import param_groups
from lightning_transformer.optim.torch_optimizer import check_options, closure_loss
from lightning_transformer.optim.trained_set import trained_parameters


class ScheduleFreeAdamW(torch.optim.Optimizer):
    """Trains at y, steps at z; the average x is what is evaluated and saved.

    With n the gradient over sqrt(v_hat) + eps, plus weight_decay * y, and c the share of this step
    in the sum of all squared rates (the rate being the largest so far)::

        z -= lr * n;  x = (1 - c) * x + c * z;  y = (1 - beta1) * z + beta1 * x

    The parameters are y from `train` on and x from `eval` on. y is stored meanwhile instead of
    recomputed, so that evaluating or saving more often does not change training. A checkpoint of
    ``eval`` has x as the model and all else here.

    groups: each with its weight_decay. options: defaults of lr, betas, eps.
    """

    needs_constant_schedule = True

    def __init__(self, groups: list[dict[str, Any]], options: dict[str, Any]) -> None:
        counts = {"n_steps": 0, "weight_sum": 0.0, "largest_lr": 0.0, "training": True}
        super().__init__(groups, {**options, **counts})

    @property
    def training(self) -> bool:
        """Whether the parameters are y."""
        return all(group["training"] for group in self.param_groups)

    @torch.no_grad()
    def eval(self) -> None:
        """Put the average x into the parameters."""
        for group, states in self._turning(to_training=False):
            for p, state in states:
                state["y"] = p.detach().clone()
                y, z = local(p), local(state["z"])
                y.lerp_(z, 1 - 1 / group["betas"][0])

    @torch.no_grad()
    def train(self) -> None:
        """Put y into the parameters, as it was."""
        for _, states in self._turning(to_training=True):
            for p, state in states:
                p.copy_(state.pop("y"))

    def _turning(
        self, to_training: bool
    ) -> Iterator[tuple[dict[str, Any], list[tuple[Tensor, dict[str, Any]]]]]:
        for group in self.param_groups:
            if group["training"] != to_training:
                group["training"] = to_training
                # before its first step a weight has no state, and x = y
                yield group, [(p, self.state[p]) for p in group["params"] if p in self.state]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Call the closure once, if there is one, then update; return its value."""
        assert self.training, "train() comes before step()"
        loss = closure_loss(closure)
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            for p in parameters:
                if not self.state[p]:
                    self.state[p]["z"] = p.detach().clone()
                    self.state[p]["exp_avg_sq"] = torch.zeros_like(p)
            if parameters:  # none are left where the guard has dropped the gradients
                self._update(group, parameters)
        return loss

    def _update(self, group: dict[str, Any], parameters: Sequence[Tensor]) -> None:
        (beta1, beta2), lr = group["betas"], group["lr"]
        group["n_steps"] += 1
        group["largest_lr"] = max(group["largest_lr"], lr)
        group["weight_sum"] += group["largest_lr"] ** 2
        share = group["largest_lr"] ** 2 / group["weight_sum"]
        y = [local(p) for p in parameters]
        grads = [local(p.grad) for p in parameters if p.grad is not None]
        z = [local(self.state[p]["z"]) for p in parameters]
        squares = [local(self.state[p]["exp_avg_sq"]) for p in parameters]
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, grads, grads, value=1 - beta2)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, math.sqrt(1 - beta2 ** group["n_steps"]))
        torch._foreach_add_(roots, group["eps"])
        updates = torch._foreach_div(grads, roots)
        if group["weight_decay"]:
            torch._foreach_add_(updates, y, alpha=group["weight_decay"])
        # y follows from z and x without x being there
        torch._foreach_lerp_(y, z, share)
        torch._foreach_add_(y, updates, alpha=lr * (beta1 * (1 - share) - 1))
        torch._foreach_add_(z, updates, alpha=-lr)


@contextmanager
def averaged(optimizers: Sequence[torch.optim.Optimizer]) -> Iterator[None]:
    """Context in which the parameters are the average x, as evaluated and saved."""
    turned = [o for o in optimizers if isinstance(o, ScheduleFreeAdamW) and o.training]
    for optimizer in turned:
        optimizer.eval()
    try:
        yield
    finally:
        for optimizer in turned:
            optimizer.train()


def schedule_free(
    model: nn.Module,
    *,
    lr: float = 2.5e-3,
    weight_decay: float = 0.1,
    decay_all: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.95,
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Build schedule-free AdamW, which needs schedule=constant: see `ScheduleFreeAdamW`.

    Validation, test, samples and checkpoints have the average x; training goes on from y.
    Memory: two states per weight, and a third while x is in use.

    Source: Defazio et al. 2024, algorithm 1, with the weights of their warm-up (r = 0).

    Options as in `torch_optimizer`. lr: after the warm-up, 1 to 10 times AdamW's. beta1: share of
    the average x in y, (0, 1). Raises ValueError also where weights are too imprecise for an
    average (16 bits).
    """
    check_options(
        schedule_free, lr=lr, weight_decay=weight_decay, beta1=beta1, beta2=beta2, eps=eps
    )
    checks.positive("optimizer.beta1", beta1, 0.9)
    if any(p.dtype.itemsize < 4 for p in trained_parameters(model)):
        raise ValueError(
            "optimizer=schedule_free needs weights of float32, because their average moves in "
            "small steps; use trainer.precision=bf16-mixed in place of bf16-true"
        )
    options = {"lr": lr, "betas": (float(beta1), float(beta2)), "eps": eps}
    return ScheduleFreeAdamW(param_groups(model, weight_decay, decay_all=decay_all), options)

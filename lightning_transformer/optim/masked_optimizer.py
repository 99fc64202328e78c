"""The contract of optimizers that leave out an update by themselves, without a wait."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_transformer.distributed.local_part import local
from lightning_transformer.optim.masked_step import unchanged_where
from lightning_transformer.optim.torch_optimizer import closure_loss


class MaskedOptimizer(torch.optim.Optimizer):
    """Contract: an optimizer that counts its steps on the device, where `found_inf` is read.

    A subclass implements `update`, which looks at each number by itself, or sums over processes
    what it adds up. As with torch's fused ones, an attribute ``found_inf`` that is not 0 when it
    steps leaves everything as it is.

    groups: each with its weight_decay. options: defaults of the others. kept: the names of what the
    state has for every weight, zeros at first; besides it has ``step``, 0-d, from 1.
    """

    takes_found_inf = True
    kept: tuple[str, ...]

    def __init__(self, groups: list[dict[str, Any]], options: dict[str, Any]) -> None:
        # Under this name torch keeps `step` on the device when a state is loaded.
        super().__init__(groups, {**options, "weight_decay": 0.0, "capturable": True})

    def update(self, group: dict[str, Any], parameters: Sequence[Tensor]) -> None:
        """Update parameters, which all have a gradient, and their state; step counts it."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Call the closure once, if there is one, then update; return its value."""
        loss = closure_loss(closure)
        skip = getattr(self, "found_inf", None)
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            self._prepare(parameters)
            if skip is None and parameters:
                self._count_and_update(group, parameters)
            elif skip is not None:
                for p in parameters:  # so that the largest one bounds the extra memory
                    with unchanged_where(skip > 0, self, p):
                        self._count_and_update(group, [p])
        return loss

    def parts(self, parameters: Sequence[Tensor], name: str) -> list[Tensor]:
        """This process's parts of an entry of the state."""
        return [local(self.state[p][name]) for p in parameters]

    def _prepare(self, parameters: Sequence[Tensor]) -> None:
        for p in parameters:
            if not self.state[p]:
                self.state[p]["step"] = torch.zeros((), device=p.device)
                self.state[p] |= {name: torch.zeros_like(p) for name in self.kept}

    def _count_and_update(self, group: dict[str, Any], parameters: Sequence[Tensor]) -> None:
        torch._foreach_add_(self.parts(parameters, "step"), 1)
        self.update(group, parameters)


def gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    """This process's parts of the gradients."""
    return [local(p.grad) for p in parameters if p.grad is not None]


def unbiasing(steps: Sequence[Tensor], beta: float, like: Sequence[Tensor]) -> list[Tensor]:
    """1 - beta ** step of each, 0-d: what a running mean that began at zero is to be divided by.

    Through expm1, because in float32 the difference itself loses digits at small steps.
    """
    dtypes = [torch.promote_types(x.dtype, torch.float32) for x in like]
    counts = [step.to(dtype) for step, dtype in zip(steps, dtypes, strict=True)]
    exponents = torch._foreach_mul(counts, math.log(beta) if beta else -math.inf)
    torch._foreach_expm1_(exponents)
    return list(torch._foreach_neg(exponents))

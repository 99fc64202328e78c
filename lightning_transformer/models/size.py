"""How big a model is and what a token costs, counted on the model itself.

torch's FlopCounterMode needs a forward pass, counts every pair of query and key, whatever the mask
hides, and counts no fused attention at all on a CPU; tests hold the counts here against it.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.stack import Stack


@runtime_checkable
class CountsFlops(Protocol):
    """A module that multiplies other matrices than those of linear layers.

    flops: of one token, forward, where a query sees so many keys on average.
    """

    def flops(self, keys: float) -> float: ...


@runtime_checkable
class HasInactive(Protocol):
    """A module of which a token uses a part only, such as experts."""

    def inactive_params(self) -> int: ...


@dataclass(frozen=True)
class Size:
    """n_params counts tied weights once; flops_per_token are those of a training step.

    n_params_active: without embeddings, those that one token uses. n_frozen: those of n_params that
    are not trained.
    """

    n_params: int
    n_params_non_embedding: int
    n_params_active: int
    flops_per_token: float
    n_frozen: int = 0


def measure(model: Transformer, seq_len: int) -> Size:
    """Count parameters, and matrix-multiplication FLOPs per token at rows of seq_len tokens.

    A training step costs three forward passes (Kaplan et al. 2020). Forward, per token: 2 FLOPs per
    weight of a linear layer, and what a module says of itself (`CountsFlops`). A model with a
    source counts source and target tokens alike, with seq_len of each.
    """
    n_params = sum(p.numel() for p in model.parameters())
    tables = {id(m.weight): m.weight for m in model.modules() if isinstance(m, nn.Embedding)}
    stacks = [m for m in model.modules() if isinstance(m, Stack)]
    per_row = seq_len * (
        _linear_flops(model.task)
        + (model.task.head_uses - 1) * _linear_flops(model.task.head)
        + sum(_linear_flops(model.embedding) + _forward_flops(stack, seq_len) for stack in stacks)
    )
    n_tokens = seq_len * len(stacks)
    n_other = n_params - sum(table.numel() for table in tables.values())
    unused = sum(m.inactive_params() for m in model.modules() if isinstance(m, HasInactive))
    n_frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    return Size(n_params, n_other, n_other - unused, 3 * per_row / n_tokens, n_frozen)


def _linear_flops(module: nn.Module) -> int:
    return 2 * sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Linear))


def _forward_flops(stack: Stack, seq_len: int) -> float:
    """FLOPs of one token in one stack, each layer counted as often as it is run through."""
    places = torch.arange(seq_len)
    total = 0.0
    for number, pattern in zip(stack.order, stack.patterns, strict=True):
        keys = float(pattern(places[:, None], places[None, :]).sum(dim=1).float().mean())
        for name, module in stack.blocks[number].named_modules():
            if isinstance(module, nn.Linear):
                total += 2 * module.weight.numel()
            elif isinstance(module, CountsFlops):
                total += module.flops(seq_len if name.endswith("cross") else keys)
    if isinstance(stack.final_read, CountsFlops):
        total += stack.final_read.flops(0.0)
    return total

"""adapter=prefix: learned keys and values before those of each row (Li & Liang 2021)."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.adapter.base import (
    Adapted,
    Adapter,
    attach,
    stacks_of,
    take_positions,
)
from lightning_transformer.nn.attention.context import AttentionContext, attend_behind
from lightning_transformer.nn.attention.kernels.base import Kernel, ScoreMods
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.layer_info import option_name
from lightning_transformer.nn.memory_tokens.base import MemoryTokens

STD = 0.02  # of the initial keys and values


class PrefixKeys(Adapter):
    """Keys and values (n, G K) of one attention layer, N(0, 0.02^2) at the start."""

    unchanged_at_start = False

    def __init__(self, n: int, attention: MultiHeadAttention) -> None:
        super().__init__()
        self.flops_per_key = 4 * attention.n_heads * attention.head_dim
        shape = n, attention.n_kv_heads * attention.head_dim
        self.keys, self.values = nn.Embedding(*shape), nn.Embedding(*shape)

    def draw(self, layer: nn.Module, generator: Generator) -> None:
        for table in (self.keys, self.values):
            drawn = torch.empty(table.weight.shape).normal_(0.0, STD, generator=generator)
            table.weight.copy_(drawn)

    def flops(self, keys: float) -> float:
        """Of scores and weighted sum, for one query."""
        return self.flops_per_key * len(self.keys.weight)


class PrefixedKernel:
    """A kernel whose every query also sees the keys of a prefix.

    Shape: as `Kernel`.
    """

    def __init__(self, kernel: Kernel, prefix: PrefixKeys) -> None:
        self.kernel, self.prefix = kernel, prefix
        self.supports = kernel.supports

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        context: AttentionContext,
        dropout: float,
        score_mods: ScoreMods | None = None,
    ) -> Tensor:
        learned = self.prefix.keys.weight, self.prefix.values.weight
        attend = partial(self.kernel, dropout=dropout, score_mods=score_mods)
        return attend_behind(attend, q, k, v, context, *learned)


class PrefixPositions(MemoryTokens):
    """No vectors: tokens come after n positions, at which the prefix of each layer stands."""

    n_tokens = 0
    group: ClassVar[str] = "adapter"

    def __init__(self, n: int, dim: int) -> None:
        super().__init__()
        self.n_positions, self.dim = n, dim

    def forward(self) -> Tensor:
        return torch.empty(0, self.dim)


def prefix(model: nn.Module, *, seed: int, n_tokens: int = 16, lr_mult: float = 10.0) -> Adapted:
    """Train softmax(q [p_k; k]^T / sqrt(K)) [p_v; v], keys and values p of each layer.

    They stand at positions 0 to n - 1, the tokens behind them; keys are not rotated, and cross-
    attention has none. Cost: 2 n_tokens G K parameters and 4 n_tokens H K FLOPs per token and
    layer, forward; it cannot be merged. Learned positions are taken from the rows.
    Raises ValueError for less than one, for layers without keys, or whose keys are not those of a
    kernel, beside memory tokens, and without a position for a row.
    """
    checks.at_least("n_tokens", n_tokens, 1)
    take_positions(model, n_tokens, "prefix")
    trained: list[nn.Parameter] = []
    for name, stack in stacks_of(model):
        if stack.memory_tokens.n_tokens:
            raise ValueError(
                "adapter=prefix beside memory tokens, which have no position, is not there; use "
                "adapter=lora"
            )
        blocks: list[Any] = list(stack.blocks)
        for number, block in enumerate(blocks):
            attention = _with_keys(block.attention)
            keys = PrefixKeys(n_tokens, attention)
            attention.kernel = PrefixedKernel(attention.kernel, keys)
            trained += attach(attention, keys, seed, f"{name}.blocks.{number}.attention")
        stack.memory_tokens = PrefixPositions(n_tokens, stack.d_model)
    return Adapted(trained, lr_mult)


def _with_keys(attention: nn.Module) -> MultiHeadAttention:
    """The layer, if it gives its keys and values to a kernel as they are; ValueError."""
    plain = MultiHeadAttention
    own: Any = type(attention)
    if isinstance(attention, plain) and (own.forward, own.attend) == (plain.forward, plain.attend):
        return attention
    reason = "computes its own scores" if getattr(attention, "has_scores", False) else "has no keys"
    raise ValueError(
        f"adapter=prefix puts keys before those of a row, and attention={option_name(attention)} "
        f"{reason}; use adapter=lora with targets of this model"
    )

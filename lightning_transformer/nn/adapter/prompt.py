"""adapter=prompt: learned vectors that are read before each row (Lester et al. 2021)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.adapter.base import (
    Adapted,
    Adapter,
    give_values,
    stacks_of,
    take_positions,
)
from lightning_transformer.nn.memory_tokens.base import MemoryTokens


class PromptVectors(Adapter):
    """(n, D), at the start those of tokens drawn from the vocabulary (Lester et al. 2021)."""

    unchanged_at_start = False

    def __init__(self, n: int, dim: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(n, dim)

    def draw(self, layer: nn.Module, generator: Generator) -> None:
        assert isinstance(layer, nn.Embedding)
        n = len(self.vectors.weight)
        ids = torch.randint(layer.num_embeddings, (n,), generator=generator)
        self.vectors.weight.copy_(layer(ids.to(layer.weight.device)))


class PromptTokens(MemoryTokens):
    """Vectors that are read as the first tokens of every row, at positions 0 to n - 1.

    Every token sees them, whatever the pattern. Shape: () -> (n_tokens, D).
    """

    group: ClassVar[str] = "adapter"

    def __init__(self, n: int, dim: int) -> None:
        super().__init__()
        self.n_tokens = self.n_positions = n
        self.adapter = PromptVectors(n, dim)

    def forward(self) -> Tensor:
        return self.adapter.vectors.weight


def prompt(model: nn.Module, *, seed: int, n_tokens: int = 16, lr_mult: float = 10.0) -> Adapted:
    """Train [p_1; ..; p_n; x_1; ..; x_T], vectors p before the embedded tokens of each stack.

    Cost: n_tokens D parameters, and as many more tokens in each row; it cannot be merged. Learned
    positions are taken from the rows.
    Raises ValueError for less than one, beside memory tokens, and without a position for a row.
    """
    checks.at_least("n_tokens", n_tokens, 1)
    take_positions(model, n_tokens, "prompt")
    trained: list[nn.Parameter] = []
    for name, stack in stacks_of(model):
        if stack.memory_tokens.n_tokens:
            raise ValueError(
                "adapter=prompt stands where the memory tokens of this model do; use adapter=prefix"
            )
        tokens = PromptTokens(n_tokens, stack.d_model)
        table = model.embedding
        assert isinstance(table, nn.Embedding)
        give_values(tokens.adapter, table, seed, f"{name}.memory_tokens")
        stack.memory_tokens = tokens
        trained += list(tokens.adapter.parameters())
    return Adapted(trained, lr_mult)

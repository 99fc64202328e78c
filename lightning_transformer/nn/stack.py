from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lightning_transformer.nn import checks
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.cache import StackCache
from lightning_transformer.nn.pattern.base import Causal, Pattern
from lightning_transformer.nn.position.base import PositionEncoding
from lightning_transformer.nn.types import ModuleFactory, NormFactory

MAX_LAYERS = 4096  # more is a typing error, and takes minutes to refuse for its size


class Stack(nn.Module):
    """n_layers blocks that share one position encoding.

    Shape: x (B, T, D) -> (B, T, D), with
        padding (B, T): True = pad, on either side; positions count real tokens only.
        documents (B, T): number of the document of each token; attention stays inside, positions
            restart. For packed rows without padding.
        memory (B, S, D), memory_padding (B, S): a source for cross-attention.
        cache: x then holds the tokens after those in the cache.
    """

    def __init__(
        self,
        *,
        d_model: int,
        n_layers: int,
        max_len: int,
        block: ModuleFactory,
        position: ModuleFactory,
        norm: NormFactory,
        pattern: Pattern,
        dropout: float,
        causal: bool,
        cross: bool = False,
    ) -> None:
        super().__init__()
        checks.between("n_layers", n_layers, 1, MAX_LAYERS)
        self.blocks = nn.ModuleList(block(d_model, cross=cross) for _ in range(n_layers))
        attention: Any = self.blocks[0].attention
        self.position: PositionEncoding = position(
            d_model=d_model,
            n_heads=attention.n_heads,
            head_dim=attention.head_dim,
            max_len=max_len,
        )
        chosen = [pattern.for_layer(layer) for layer in range(n_layers)]
        self.patterns: list[Pattern] = [p & Causal() if causal else p for p in chosen]
        self.dropout = nn.Dropout(dropout)
        needs_norm = self.blocks[-1].needs_final_norm
        self.final_norm = norm(d_model) if needs_norm else nn.Identity()
        self.n_layers, self.causal = n_layers, causal
        self._compiled = False

    @property
    def n_residuals(self) -> int:
        """How many times something is added to the residual stream."""
        blocks: Iterable[Any] = self.blocks
        return sum(block.n_residuals for block in blocks)

    def checkpoint_blocks(self) -> None:
        """Keep only each block's input for the backward pass, which computes the block again."""
        for block in self.blocks:
            # Inside what FSDP hangs around the block: its parameters are gathered once more then.
            block.forward = partial(_recomputed, block.forward)

    def compile_blocks(self, backend: str = "inductor") -> None:
        """Compile each block for itself, in place: names of weights stay as they are."""
        for block in self.blocks:
            block.compile(backend=backend)
        self._compiled = True

    def forward(
        self,
        x: Tensor,
        *,
        padding: Tensor | None = None,
        documents: Tensor | None = None,
        memory: Tensor | None = None,
        memory_padding: Tensor | None = None,
        cache: StackCache | None = None,
    ) -> Tensor:
        past = cache.length if cache else 0
        if cache is not None:
            padding = cache.extend_padding(padding, x.shape[0], x.shape[1])
        places = torch.arange(past + x.shape[1], device=x.device)
        positions = _positions(places, padding, documents)  # (S,) or (B, S)
        x = self.dropout(self.position.embed(x, positions[..., past:]))
        contexts = self._contexts(x, places, positions, past, padding, documents)
        memory_context = None if memory is None else _memory_context(memory_padding)
        # A row that grows would be compiled anew at each length.
        eager = self._compiled and cache is not None
        with torch.compiler.set_stance("force_eager") if eager else nullcontext():
            for i, (block, pattern) in enumerate(zip(self.blocks, self.patterns, strict=True)):
                layer_cache = cache.layers[i] if cache else None
                x = block(x, contexts[pattern], memory, memory_context, layer_cache)
        return self.final_norm(x)

    def _contexts(
        self,
        x: Tensor,
        places: Tensor,
        positions: Tensor,
        past: int,
        padding: Tensor | None,
        documents: Tensor | None,
    ) -> dict[Pattern, AttentionContext]:
        """One context for each distinct pattern of the layers."""
        angles = self.position.angles(positions[..., past:])
        if angles is not None:
            angles = angles.to(torch.promote_types(x.dtype, torch.float32))
        bias = self.position.bias(places[past:], places)

        def rotate(heads: Tensor) -> Tensor:
            return heads if angles is None else self.position.rotate(heads, angles)

        plain = padding is None and documents is None
        contexts: dict[Pattern, AttentionContext] = {}
        for pattern in dict.fromkeys(self.patterns):
            if plain and pattern == Causal() and bias is None and (not past or x.shape[1] == 1):
                # One new token sees all of the past; a square is left to the kernel's own triangle.
                contexts[pattern] = AttentionContext(rotate=rotate, is_causal=x.shape[1] > 1)
                continue
            mask = pattern(positions[..., past:, None], positions[..., None, :])
            mask = mask[:, None] if mask.ndim == 3 else mask[None, None]  # ([B,] T, S) -> 4 dims
            if padding is not None:
                mask = mask & ~padding[:, None, None, :]
            if documents is not None:
                mask = mask & (documents[:, None, :, None] == documents[:, None, None, :])
            limited = None if bias is None else bias.masked_fill(~mask, float("-inf"))
            contexts[pattern] = AttentionContext(mask, limited, rotate)
        return contexts


def _recomputed(forward: Callable[..., Tensor], *args: Any) -> Tensor:
    if not torch.is_grad_enabled():
        return forward(*args)
    out = checkpoint(forward, *args, use_reentrant=False)
    assert isinstance(out, Tensor)
    return out


def _positions(places: Tensor, padding: Tensor | None, documents: Tensor | None) -> Tensor:
    if documents is not None:
        starts = torch.ones_like(documents, dtype=torch.bool)
        starts[:, 1:] = documents[:, 1:] != documents[:, :-1]
        return places - torch.where(starts, places, 0).cummax(dim=1).values
    if padding is not None:
        return ((~padding).long().cumsum(dim=1) - 1).clamp(min=0)
    return places


def _memory_context(memory_padding: Tensor | None) -> AttentionContext:
    return AttentionContext(None if memory_padding is None else ~memory_padding[:, None, None, :])

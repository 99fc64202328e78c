"""A stack of layers: position encoding, attention masks, and the layers in order."""

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lightning_transformer.nn import checks
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.windows import key_windows, shared_reach
from lightning_transformer.nn.cache import StackCache
from lightning_transformer.nn.document_positions import row_positions
from lightning_transformer.nn.layer_info import LayerInfo, configure_layer
from lightning_transformer.nn.layer_sharing.base import LayerSharing
from lightning_transformer.nn.memory_tokens.base import MemoryTokens, widened
from lightning_transformer.nn.memory_tokens.none import NoMemoryTokens
from lightning_transformer.nn.pattern.base import Causal, Pattern
from lightning_transformer.nn.position.base import PositionEncoding
from lightning_transformer.nn.residual.base import Residual, skip_rows
from lightning_transformer.nn.stack_checks import (
    check_documents,
    check_past_only,
    check_prefix,
    check_reads_prefix,
    check_scores,
    check_stochastic_depth,
    score_sizes,
)
from lightning_transformer.nn.types import ModuleFactory, NormFactory

MAX_LAYERS = 4096  # more is a typing error, and takes minutes to refuse for its size


class Stack(nn.Module):
    """n_layers blocks that share one position encoding.

    stochastic_depth: probability of skipping the last layer for a row in training, [0, 1); falls
    linearly towards the first layer.

    vocab_size: of the ids that `forward` is given with x; 0 = it is given none.

    memory_tokens: vectors before each row, which all layers read and nothing after the stack does.

    reads_prefix: of a causal stack, whether `forward` is given a prefix.

    Shape: x (B, T, D) -> (B, T, D), with
        ids (B, T): the tokens of x, for layers that look something up by them.
        padding (B, T): True = pad, on either side; positions count real tokens only.
        documents (B, T): number of the document of each token; attention stays inside, positions
            restart. For packed rows without padding. ValueError where memory tokens would join
            them.
        prefix (B,): how many tokens of each row, from its first real one on, also see those of
            them that come after, as far as the pattern lets them.
        memory (B, S, D), memory_padding (B, S): a source for cross-attention.
        cache: x then holds the tokens after those in the cache.
    """

    _compiled = False

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
        layer_sharing: LayerSharing,
        dropout: float,
        causal: bool,
        stochastic_depth: float = 0.0,
        cross: bool = False,
        n_readers: int = 0,
        vocab_size: int = 0,
        memory_tokens: ModuleFactory = NoMemoryTokens,
        reads_prefix: bool = False,
    ) -> None:
        super().__init__()
        checks.between("n_layers", n_layers, 1, MAX_LAYERS)
        checks.fraction("stochastic_depth", stochastic_depth)
        self.order = layer_sharing.order(n_layers)
        self.d_model, self.n_layers, self.causal = d_model, len(self.order), causal
        self.reads_source = cross
        self.n_readers = len(layer_sharing.order(n_readers)) if n_readers else 0
        place = LayerInfo(
            n_layers=self.n_layers,
            causal=causal,
            reads_source=cross,
            n_readers=self.n_readers,
            vocab_size=vocab_size,
        )
        self.blocks = self._distinct_blocks(block, place)
        self.memory_tokens: MemoryTokens = memory_tokens(d_model)
        n_heads, head_dim = score_sizes(self.blocks)
        placed = configure_layer(
            position(d_model=d_model, n_heads=n_heads, head_dim=head_dim, max_len=max_len), place
        )
        assert isinstance(placed, PositionEncoding)
        self.position = placed
        check_scores(self.blocks, self.position, pattern)
        chosen = [pattern.for_layer(layer) for layer in range(self.n_layers)]
        self.n_prefix = n_prefix = check_prefix(chosen, causal, max_len)
        check_past_only(
            self.blocks, self.position, causal=causal, n_prefix=n_prefix, reads_prefix=reads_prefix
        )
        check_reads_prefix(self.blocks, reads_prefix)
        self.patterns: list[Pattern] = [p.in_past() if causal else p for p in chosen]
        self.unlimited = dict(zip(self.patterns, chosen, strict=True))  # before `in_past`
        # Layers of equal pattern and position share one attention context.
        self.views = [(p, self.position.acts_on(layer)) for layer, p in enumerate(self.patterns)]
        self.dropout = nn.Dropout(dropout)
        last = self._residuals[-1]
        self.final_read = last.new_final_read(self.n_residuals)
        self.final_norm = norm(d_model) if last.needs_final_norm else nn.Identity()
        check_stochastic_depth(stochastic_depth, last)
        # Grows with depth: all later layers depend on those near the input.
        self.drop_rates = [stochastic_depth * (i + 1) / self.n_layers for i in range(self.n_layers)]

    def _distinct_blocks(self, block: ModuleFactory, place: LayerInfo) -> nn.ModuleList:
        blocks = [block(self.d_model, cross=place.reads_source) for _ in range(max(self.order) + 1)]
        runs = Counter(self.order)
        return nn.ModuleList(
            configure_layer(made, replace(place, layer=self.order.index(i), n_runs=runs[i]))
            for i, made in enumerate(blocks)
        )

    @property
    def _residuals(self) -> list[Residual]:
        """All additions to the residual stream, in their order."""
        blocks: list[Any] = [self.blocks[i] for i in self.order]
        return [residual for block in blocks for residual in block.residuals]

    @property
    def n_residuals(self) -> int:
        """Number of additions to the residual stream."""
        return len(self._residuals)

    def new_cache(self, capacity: int, source_capacity: int = 0) -> StackCache:
        """An empty cache for decoding rows of up to `capacity` tokens."""
        blocks: list[Any] = [self.blocks[i] for i in self.order]
        rows = capacity + self.memory_tokens.n_tokens
        return StackCache([b.new_cache(rows, source_capacity) for b in blocks], capacity)

    def checkpoint_blocks(self) -> None:
        """Keep only each block's input for the backward pass, which computes the block again."""
        for block in self.blocks:
            # Wraps the inner forward, below FSDP's hooks: parameters are gathered again for it.
            block.forward = partial(_recomputed, block.forward)

    def compile_blocks(self, backend: str = "inductor") -> None:
        """Compile each block separately, in place; names of weights do not change.

        Dropout then draws what it draws uncompiled.
        """
        options = {"fallback_random": True} if backend == "inductor" else None
        for block in self.blocks:
            block.compile(backend=backend, options=options)
        self._compiled = True

    def forward(
        self,
        x: Tensor,
        *,
        ids: Tensor | None = None,
        padding: Tensor | None = None,
        documents: Tensor | None = None,
        prefix: Tensor | None = None,
        memory: Tensor | None = None,
        memory_padding: Tensor | None = None,
        cache: StackCache | None = None,
    ) -> Tensor:
        past = cache.length if cache else 0
        if documents is not None:
            check_documents(self)
        if cache is not None:
            padding = cache.extend_padding(padding, x.shape[0], x.shape[1])
        places = torch.arange(past + x.shape[1], device=x.device)
        positions = row_positions(places, padding, documents)  # (S,) or (B, S)
        own = self.memory_tokens
        x = self.dropout(self.position.embed(x, own.positions(positions[..., past:], 0)))
        n_memory = 0 if past else own.n_tokens  # read before the first tokens
        if n_memory:
            x = own.before(x, self.position)
        blocks: list[Any] = list(self.blocks)  # each look into a ModuleList is a search by name
        x = blocks[self.order[0]].residuals[0].split_stream(x)
        contexts = self._contexts(x, places, positions, past, padding, documents, prefix, ids)
        memory_context = None if memory is None else _memory_context(memory_padding)
        # Compiled code would be recompiled at each length of a growing row.
        eager = self._compiled and cache is not None
        with torch.compiler.set_stance("force_eager") if eager else nullcontext():
            for i, (number, view) in enumerate(zip(self.order, self.views, strict=True)):
                layer_cache = cache.layers[i] if cache else None
                y = blocks[number](x, contexts[view], memory, memory_context, layer_cache)
                rate = self.drop_rates[i]
                x = skip_rows(x, y, rate) if rate and self.training else y
        if cache is not None:
            cache.advance(positions.shape[-1] - past)
        last: Residual = blocks[self.order[-1]].residuals[-1]
        y = last.merge_stream(self.final_read(x), self.final_norm)
        return y[:, n_memory:] if n_memory else y

    def _reach(self, pattern: Pattern, device: torch.device) -> int | None:
        """The reach of a pattern where all layers can compute by windows; None elsewhere."""
        if not self.causal or self.n_prefix or device.type != "cpu":  # on a GPU not measured
            return None
        return shared_reach(pattern, [block.attention for block in self.blocks])

    def _mask(
        self, pattern: Pattern, positions: Tensor, past: int, prefix: Tensor | None
    ) -> Tensor:
        """([B or 1,] 1, T, S), True = seen, of a pattern and of a prefix that sees itself whole."""
        queries, keys = positions[..., past:, None], positions[..., None, :]
        mask = pattern(queries, keys)
        if prefix is not None:
            # Behind the prefix a query sees these keys already: they are its past.
            both_ways = keys < prefix[:, None, None]
            mask = mask | (both_ways & self.unlimited[pattern](queries, keys))
        return mask[:, None] if mask.ndim == 3 else mask[None, None]  # ([B,] T, S) -> 4 dims

    def _contexts(
        self,
        x: Tensor,
        places: Tensor,
        positions: Tensor,
        past: int,
        padding: Tensor | None,
        documents: Tensor | None,
        prefix: Tensor | None,
        ids: Tensor | None,
    ) -> dict[tuple[Pattern, bool], AttentionContext]:
        """One context for each distinct pattern of the layers, with position and without."""
        n = self.memory_tokens.n_tokens
        n_new = 0 if past else n  # of the queries
        angles = self.position.angles(self.memory_tokens.positions(positions[..., past:], n_new))
        if angles is not None:
            angles = angles.to(torch.promote_types(x.dtype, torch.float32))
        every_bias = self.position.bias(places[past:], places)
        if every_bias is not None and n:
            every_bias = F.pad(every_bias, (n, 0, n_new, 0))

        def rotated(heads: Tensor) -> Tensor:
            return heads if angles is None else self.position.rotate(heads, angles)

        def rotated_keys(heads: Tensor) -> Tensor:
            return heads if angles is None else self.position.rotate_keys(heads, angles)

        plain = padding is None and documents is None and prefix is None
        shared = AttentionContext(
            padding=None if padding is None else F.pad(padding[:, past:], (n_new, 0)),
            documents=None if documents is None else F.pad(documents, (n_new, 0), value=-1),
            ids=ids,
        )
        contexts: dict[tuple[Pattern, bool], AttentionContext] = {}
        for pattern, placed in dict.fromkeys(self.views):
            bias = every_bias if placed else None
            view = pattern, placed
            turned = replace(shared, rotate=rotated, rotate_keys=rotated_keys) if placed else shared
            if plain and pattern == Causal() and bias is None and (not past or x.shape[1] == 1):
                # One new token sees all of the past; in squares the kernel applies a causal mask.
                contexts[view] = replace(turned, is_causal=x.shape[1] > 1)
                continue
            whole = past == n == 0 and bias is None and prefix is None
            if whole and (reach := self._reach(pattern, x.device)):
                near = key_windows(pattern, reach, positions, padding, documents)
                if near is not None:
                    contexts[view] = replace(turned, windows=near)
                    continue
            mask = self._mask(pattern, positions, past, prefix)
            if documents is not None:
                mask = mask & (documents[:, None, :, None] == documents[:, None, None, :])
            if n:
                mask = widened(mask, n=n, n_new=n_new, causal=self.causal)
            if padding is not None:
                mask = mask & ~F.pad(padding, (n, 0))[:, None, None, :]
            limited = None if bias is None else bias.masked_fill(~mask, float("-inf"))
            contexts[view] = replace(turned, mask=mask, bias=limited)
        return contexts


def _recomputed(forward: Callable[..., Tensor], *args: Any) -> Tensor:
    if not torch.is_grad_enabled():
        return forward(*args)
    out = checkpoint(forward, *args, use_reentrant=False)
    assert isinstance(out, Tensor)
    return out


def _memory_context(memory_padding: Tensor | None) -> AttentionContext:
    return AttentionContext(None if memory_padding is None else ~memory_padding[:, None, None, :])

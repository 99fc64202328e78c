"""Attention by torch's FlexAttention (Dong et al. 2024)."""

import warnings
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import (
    AuxRequest,
    BlockMask,
    create_block_mask,
    flex_attention,
)

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import ScoreMods


class Flex:
    """torch's FlexAttention (Dong et al. 2024): skips what no query of a block may see.

    A block mask, 128 x 128 scores a block, is made of the mask once per forward and pattern;
    soft-cap and bias change scores on the way, sinks are joined by the log-sum-exp. No score is
    kept. On a GPU it is compiled, for heads of 16 numbers or more, in float32 or shorter; this
    follows torch's documentation and has not been run on a GPU. On a CPU it is computed in plain
    operations, and torch has no gradient for it: for generating and evaluating, not for training.
    """

    supports = frozenset({"softcap", "sinks"})

    def __init__(self) -> None:
        self._compiled: Any = None

    def check_training(self, device: str, dropout: float) -> None:
        """Raise ValueError where it cannot train."""
        if device == "cpu":
            raise ValueError("kernel=flex has no gradient on a CPU; use kernel=sdpa or a GPU")
        if dropout:
            raise ValueError(
                f"attention.dropout={dropout} is not what kernel=flex computes; use 0.0 or "
                "kernel=sdpa"
            )

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        context: AttentionContext,
        dropout: float,
        score_mods: ScoreMods | None = None,
    ) -> Tensor:
        score_mods = score_mods or ScoreMods()
        assert score_mods.mix_scores is None, "refused when the model was built"
        assert score_mods.mix_weights is None, "refused when the model was built"
        needs_gradient = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
        if dropout or (needs_gradient and q.device.type == "cpu"):
            self.check_training(q.device.type, dropout)
        y, lse = self._function(q.device)(
            q,
            k,
            v,
            score_mod=_score_mod(context, score_mods, one_query=q.shape[2] == 1),
            block_mask=None if q.shape[2] == 1 else _block_mask(context, q, k),
            enable_gqa=q.shape[1] != k.shape[1],
            return_aux=AuxRequest(lse=score_mods.sinks is not None),
        )
        if score_mods.sinks is None:
            return y
        # One more key of value zero: the weights of the others shrink together.
        share = torch.sigmoid(lse.lse - score_mods.sinks.to(lse.lse.dtype)[:, None])
        return (y * share[..., None]).to(y.dtype)

    def _function(self, device: torch.device) -> Any:
        if torch.compiler.is_compiling():
            return flex_attention  # compiled as part of the surrounding graph
        if device.type == "cpu":
            return _plain
        if self._compiled is None:
            self._compiled = torch.compile(flex_attention)
        return self._compiled


def _plain(*args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="flex_attention called without torch.compile")
        return flex_attention(*args, **options)


def _score_mod(context: AttentionContext, score_mods: ScoreMods, *, one_query: bool) -> Any:
    """What becomes of one score of row b, head h, query i and key j; None = nothing."""
    bias, softcap = context.bias, score_mods.softcap
    if bias is not None and bias.ndim == 3:
        bias = bias[None]
    hidden = None if not one_query or bias is not None else context.mask
    if softcap is None and bias is None and hidden is None:
        return None

    def changed(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        if softcap is not None:
            score = softcap * torch.tanh(score / softcap)
        if bias is not None:
            score = score + _at(bias, b, h, i, j)
        if hidden is not None:
            score = torch.where(_at(hidden, b, h, i, j), score, -float("inf"))
        return score

    return changed


def _at(x: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """The element of (B, H, T, S), whose dimensions but the last may be 1 (broadcast)."""
    return x[b * (x.shape[0] > 1), h * (x.shape[1] > 1), i * (x.shape[2] > 1), j]


@torch.compiler.disable
def _block_mask(context: AttentionContext, q: Tensor, k: Tensor) -> BlockMask | None:
    length, n_keys = q.shape[2], k.shape[2]
    if context.is_causal:
        return _triangle(length, n_keys, q.device)
    mask = context.mask
    if mask is None:
        return None
    # Layers of one pattern share their mask, and so the block mask made of it.
    for known, made in context.shared.block_masks:
        if known is mask:
            assert isinstance(made, BlockMask)
            return made

    def seen(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return _at(mask, b, h, i, j)

    n_rows, n_heads = (n if n > 1 else None for n in mask.shape[:2])
    blocks = create_block_mask(seen, n_rows, n_heads, length, n_keys, q.device)
    context.shared.block_masks.append((mask, blocks))
    return blocks


@lru_cache(maxsize=8)
def _triangle(length: int, n_keys: int, device: torch.device) -> BlockMask:
    def seen(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return j <= i

    return create_block_mask(seen, None, None, length, n_keys, device)

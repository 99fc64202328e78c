"""Attention in plain operations, the reference of the other kernels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import ScoreMods


class Eager:
    """Attention step by step in plain operations: the reference that other kernels must equal.

    Needs memory for all H x T x S scores. Softmax runs in float32 at least.
    """

    supports = frozenset({"mix_scores", "softcap", "sinks", "mix_weights"})

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
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        scores = (q @ k.mT).to(torch.promote_types(q.dtype, torch.float32))
        scores = scores / q.shape[-1] ** 0.5
        if score_mods.mix_scores is not None:
            scores = score_mods.mix_scores(scores)
        if score_mods.softcap is not None:
            scores = score_mods.softcap * torch.tanh(scores / score_mods.softcap)
        if context.bias is not None:
            scores = scores + context.bias
        mask = context.mask
        if context.is_causal:
            mask = scores.new_ones(scores.shape[-2:]).tril().bool()
        if mask is None:
            weights = _softmax(scores, score_mods.sinks)
        else:
            # A finite floor, then zero: with -inf a fully masked query would give NaN.
            floor = scores.masked_fill(~mask, -1e30)
            weights = _softmax(floor, score_mods.sinks).masked_fill(~mask, 0.0)
        if score_mods.mix_weights is not None:
            weights = score_mods.mix_weights(weights)
        return F.dropout(weights.to(v.dtype), dropout) @ v


def _softmax(scores: Tensor, sinks: Tensor | None) -> Tensor:
    """Over the keys and, if there are sinks, one more key per head, whose weight is left out."""
    if sinks is None:
        return scores.softmax(dim=-1)
    sink = sinks.to(scores.dtype)[:, None, None].expand(*scores.shape[:-1], 1)
    return torch.cat((scores, sink), dim=-1).softmax(dim=-1)[..., :-1]

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext


class Eager:
    """Attention step by step in plain operations: the reference that other kernels must equal.

    Needs memory for all H x T x S scores. Softmax runs in float32 at least.
    """

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext, dropout: float
    ) -> Tensor:
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        scores = (q @ k.mT).to(torch.promote_types(q.dtype, torch.float32))
        scores = scores / q.shape[-1] ** 0.5
        if context.bias is not None:
            scores = scores + context.bias
        mask = context.mask
        if context.is_causal:
            mask = scores.new_ones(scores.shape[-2:]).tril().bool()
        if mask is None:
            weights = scores.softmax(dim=-1)
        else:
            # A finite floor, then zero: -inf alone makes NaN of a query that may see nothing.
            floor = scores.masked_fill(~mask, -1e30)
            weights = floor.softmax(dim=-1).masked_fill(~mask, 0.0)
        return F.dropout(weights.to(v.dtype), dropout) @ v

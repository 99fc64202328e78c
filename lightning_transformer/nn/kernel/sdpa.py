import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.kernel.base import Scoring


class SDPA:
    """torch's fused scaled_dot_product_attention: flash attention where mask and device allow.

    Memory grows with T, not T^2, where no mask or bias is needed (Dao et al. 2022).
    On a CPU bfloat16 is computed in float32: torch's bfloat16 backward is up to 11 times slower
    there at short rows (torch 2.13), and the result is the more exact one.
    """

    supports: frozenset[str] = frozenset()

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        context: AttentionContext,
        dropout: float,
        scoring: Scoring | None = None,
    ) -> Tensor:
        assert scoring is None, "refused when the model was built"
        dtype = v.dtype
        if q.device.type == "cpu" and dtype.itemsize < 4:
            with torch.autocast("cpu", enabled=False):
                return _sdpa(q.float(), k.float(), v.float(), context, dropout).to(dtype)
        return _sdpa(q, k, v, context, dropout)


def _sdpa(q: Tensor, k: Tensor, v: Tensor, context: AttentionContext, dropout: float) -> Tensor:
    mask = context.mask if context.bias is None else context.bias.to(q.dtype)
    if mask is not None and mask.ndim == 3:
        mask = mask[None]
    return F.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=mask,
        dropout_p=dropout,
        is_causal=context.is_causal,
        enable_gqa=q.shape[1] != k.shape[1],
    )

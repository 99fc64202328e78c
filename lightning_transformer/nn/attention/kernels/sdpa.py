"""Attention by torch's scaled_dot_product_attention."""

from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import ScoreMods


class SDPA:
    """torch's fused scaled_dot_product_attention: flash attention where mask and device allow.

    Memory grows with T, not T^2, where no mask or bias is needed (Dao et al. 2022).
    On a CPU a causal pattern that sees only near keys is computed in blocks (`KeyWindows`).
    On a CPU bfloat16 is computed in float32: torch's bfloat16 backward is up to 11 times slower
    there at short rows (torch 2.13), and the result is the more exact one. But a single query
    without gradients, a step of decoding, stays in bfloat16, summed in float32 by torch: to turn
    the whole cache into float32 took 7 times as long (16 rows, 270 keys, torch 2.13).
    """

    supports = frozenset({"sinks"})
    takes_windows = True

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        context: AttentionContext,
        dropout: float,
        score_mods: ScoreMods | None = None,
    ) -> Tensor:
        run, dtype = _sdpa, v.dtype
        if score_mods is not None:
            others = score_mods.mix_scores, score_mods.softcap, score_mods.mix_weights
            assert others == (None, None, None), "refused when the model was built"
            run = _sdpa if score_mods.sinks is None else partial(_with_sinks, score_mods.sinks)
        decoding = q.shape[2] == 1 and not torch.is_grad_enabled()
        if q.device.type == "cpu" and dtype.itemsize < 4 and not decoding:
            with torch.autocast("cpu", enabled=False):
                return run(q.float(), k.float(), v.float(), context, dropout).to(dtype)
        return run(q, k, v, context, dropout)


def _sdpa(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    context: AttentionContext,
    dropout: float,
    scale: float | None = None,
) -> Tensor:
    if context.windows is not None:
        rest = replace(context, windows=None)

        def run(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
            return _sdpa(q, k, v, replace(rest, mask=mask), dropout, scale)

        return context.windows.attend(run, q, k, v)
    mask = context.mask if context.bias is None else context.bias.to(q.dtype)
    if mask is not None and mask.ndim == 3:
        mask = mask[None]
    width = v.shape[-1]
    if q.shape[-1] != width:
        # Flash attention needs equal widths; torch's fallback would store all T x S scores.
        scale = q.shape[-1] ** -0.5 if scale is None else scale
        widest = max(q.shape[-1], width)
        q, k, v = (F.pad(x, (0, widest - x.shape[-1])) for x in (q, k, v))
    y = F.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=mask,
        dropout_p=dropout,
        is_causal=context.is_causal,
        scale=scale,
        enable_gqa=q.shape[1] != k.shape[1],
    )
    return y if y.shape[-1] == width else y[..., :width]


def _with_sinks(
    sinks: Tensor, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext, dropout: float
) -> Tensor:
    """A first key with value zero, whose score comes from one more dimension: sqrt(K) sinks in the
    queries, 1 in this key, 0 in the others.

    A causal mask then needs a first query as well. 1.2 to 1.5 times the time of no sinks
    on a CPU (rows of 1024 and 256), where the eager kernel takes 5.5 and 2.7 times (torch 2.13).
    """
    width = q.shape[-1]
    score = (sinks.to(q.dtype) * width**0.5)[:, None, None].expand(*q.shape[:3], 1)
    sink = F.pad(k.new_ones(*k.shape[:2], 1, 1), (width, 0))
    q = torch.cat((q, score), dim=-1)
    k = torch.cat((sink, F.pad(k, (0, 1))), dim=2)
    v = F.pad(v, (0, 0, 1, 0))
    if context.is_causal:
        q = F.pad(q, (0, 0, 1, 0))
    mask = None if context.mask is None else F.pad(context.mask, (1, 0), value=True)
    bias = None if context.bias is None else F.pad(context.bias, (1, 0))
    y = _sdpa(q, k, v, replace(context, mask=mask, bias=bias), dropout, width**-0.5)
    return y[:, :, 1:] if context.is_causal else y

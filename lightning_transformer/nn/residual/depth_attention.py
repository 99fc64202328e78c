"""Attention over depth in place of a sum (Kimi team 2026, Attention Residuals)."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import NormFactory, Sublayer


class DepthRead(nn.Module):
    """sum_i softmax_i(w . v_i / rms(v_i)) v_i over the outputs v_i so far, w learned from 0.

    eps: added to the mean square. n_reads: reads of a stack over 1, 2 .. outputs, whose FLOPs are
    counted here; 0 = elsewhere. Scores and sums are computed in float32 at least.
    Shape: (B, T, n, D) -> (B, T, D).
    """

    def __init__(self, dim: int, *, eps: float, n_reads: int = 0) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(dim))
        self.eps, self.dim, self.n_reads = eps, dim, n_reads

    def forward(self, outputs: Tensor) -> Tensor:
        with torch.autocast(outputs.device.type, enabled=False):
            wide = torch.promote_types(outputs.dtype, torch.float32)
            v, w = outputs.to(wide), self.query.to(wide)
            # Not of normed copies of v, which the backward pass would have to keep.
            scores = (v @ w) * (v.square().mean(dim=-1) + self.eps).rsqrt()
            weights = scores.softmax(dim=-1)
            return (weights.unsqueeze(-2) @ v).squeeze(-2).to(outputs.dtype)

    def flops(self, keys: float) -> float:
        """Of scores and sums of all reads, for one token."""
        return 4.0 * self.dim * self.n_reads * (self.n_reads + 1) / 2


class DepthAttention(Residual):
    """Each layer reads a softmax-weighted mean of all earlier outputs (Kimi team 2026).

        h_l = sum_{i<l} a_li v_i,  a_l = softmax_i(w_l . v_i / rms(v_i)),  v_l = f(norm(h_l))

    v_0 are the embeddings. w_l starts at 0, so that each layer reads the plain mean; a last such
    read, with a w of its own, ends the stack. This is the paper's full form, called Attention
    Residuals there; its block form, over sums of several layers, and the gain of the RMSNorm,
    which w_l can learn, are left out. The stream grows by an output per addition: with n of them,
    memory of training and reads cost n^2 / 2 times D per token.

    Shape: (B, T, n, D) -> (B, T, n + 1, D).
    """

    needs_final_norm = True
    grows = True

    def __init__(
        self, dim: int, *, norm: NormFactory, eps: float = 1e-6, dropout: float = 0.0
    ) -> None:
        super().__init__(dim, norm=norm, dropout=dropout)
        checks.positive("eps", eps, 1e-6)
        self.read = DepthRead(dim, eps=eps)

    def split_stream(self, x: Tensor) -> Tensor:
        return x.unsqueeze(2)

    def new_final_read(self, n_residuals: int) -> nn.Module:
        return DepthRead(self.read.dim, eps=self.read.eps, n_reads=n_residuals + 1)

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        y = self.dropout(f(self.norm(self.read(x))))
        return torch.cat((x, y.unsqueeze(2)), dim=2)

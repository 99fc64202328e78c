"""The contract of residual connections."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.types import NormFactory, Sublayer


class Residual(nn.Module):
    """Contract: how a layer's output f(x) joins the residual stream.

    `split_stream` turns embeddings (B, T, D) into the stream, (B, T, D) or (B, T, n, D);
    `new_final_read` and `merge_stream` turn it back after the last layer. needs_final_norm: its
    output is not normalised. grows: each step makes n larger, so that no row can leave out a layer.
    Each has one norm at least, and dropout, [0, 1), of what the layer adds.
    """

    needs_final_norm: bool
    grows: bool = False

    def __init__(self, dim: int, *, norm: NormFactory, dropout: float = 0.0) -> None:
        super().__init__()
        checks.fraction("dropout", dropout)
        self.norm, self.dropout = norm(dim), nn.Dropout(dropout)

    def split_stream(self, x: Tensor) -> Tensor:
        return x

    def new_final_read(self, n_residuals: int) -> nn.Module:
        """What the stream passes before `merge_stream`: a module of the stack, with its weights.

        n_residuals: additions to the stream before it.
        """
        return nn.Identity()

    def merge_stream(self, x: Tensor, final_norm: nn.Module) -> Tensor:
        y = final_norm(x)
        assert isinstance(y, Tensor)
        return y

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        raise NotImplementedError


def skip_rows(x: Tensor, y: Tensor, rate: float) -> Tensor:
    """Stochastic depth: skip a layer for some rows and scale it up for the others.

    x + keep / (1 - rate) (y - x), keep ~ Bernoulli(1 - rate) for each row (Huang et al. 2016).
    """
    keep = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= rate
    return x + keep * (y - x) / (1 - rate)

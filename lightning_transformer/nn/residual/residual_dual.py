"""ResiDual: a post-norm stream and an unnormalised one."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import Sublayer


class ResidualDual(Residual):
    """Two streams, one of post-norm and one that is never normalised; the output is their sum.

        u <- norm(u + f(u)), v <- v + f(u), at the end u + final_norm(v) (Xie et al. 2023, ResiDual)

    Gradients reach early layers through v as in pre-norm, while layers read u as in post-norm.
    Both start as the embeddings. The factor on v against overflow in float16 is left out.

    Shape: (B, T, 2, D) -> (B, T, 2, D).
    """

    needs_final_norm = True

    def split_stream(self, x: Tensor) -> Tensor:
        return torch.stack((x, x), dim=2)

    def merge_stream(self, x: Tensor, final_norm: nn.Module) -> Tensor:
        u, v = x.unbind(2)
        y = u + final_norm(v)
        assert isinstance(y, Tensor)
        return y

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        u, v = x.unbind(2)
        y = self.dropout(f(u))
        return torch.stack((self.norm(u + y), v + y), dim=2)

"""Hyper-connections: several residual streams."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.parameter_roles import Role
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import NormFactory, Sublayer


class HyperConnections(Residual):
    """n streams with learned weights for what a layer reads, how streams mix and where it writes.

        h = sum_i read_i X_i,  X_j <- sum_i mix_ij X_i + write_j f(norm(h))  (Zhu et al. 2024)

    All streams start as the embeddings; their sum leaves. dynamic: each token moves its numbers by
    s tanh(norm_streams(X) W), W from 0, s from 0.01 for read and mix together and for write. As
    each layer starts by reading one stream (its number modulo n), keeping all and adding to all,
    the model starts as pre-norm. The paper numbers attention and ffn of a layer apart, and starts
    their outputs larger by sqrt(n); here they read the same stream, and the init is what it is.

    Shape: (B, T, n, D) -> (B, T, n, D).
    """

    # What a token adds starts at 0 and decays; the numbers that it is added to do not.
    param_roles: ClassVar[Mapping[str, Role]] = {"weight": Role.WEIGHT}
    needs_final_norm = True

    def __init__(
        self,
        dim: int,
        *,
        norm: NormFactory,
        n_streams: int = 4,
        dynamic: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dim, norm=norm, dropout=dropout)
        checks.between("n_streams", n_streams, 1, 64)
        self.n, self.dim = n_streams, dim
        # Row by row: what stream i gives to h, gives to each stream, and gets of f.
        self.static = nn.Parameter(torch.empty(n_streams * (n_streams + 2)))
        self._start(0)
        self.dynamic = dynamic
        if dynamic:
            self.norm_streams = norm(dim)
            self.weight = nn.Parameter(torch.zeros(dim, n_streams + 2))
            self.sizes = nn.Parameter(torch.full((2,), 0.01))

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        self._start(info.layer % self.n)
        return self

    @torch.no_grad()
    def _start(self, stream: int) -> None:
        read = torch.eye(self.n)[:, stream : stream + 1]
        start = torch.cat((read, torch.eye(self.n), torch.ones(self.n, 1)), dim=1)
        self.static.copy_(start.flatten())

    def split_stream(self, x: Tensor) -> Tensor:
        return x.unsqueeze(2).expand(-1, -1, self.n, -1)

    def merge_stream(self, x: Tensor, final_norm: nn.Module) -> Tensor:
        y = final_norm(x.sum(dim=2))
        assert isinstance(y, Tensor)
        return y

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        # Mixed precision would take products of matrices, and so the stream, down to 16 bits.
        with torch.autocast(x.device.type, enabled=False):
            numbers = self.static.view(self.n, self.n + 2).to(x.dtype)
            if self.dynamic:
                moves = (self.norm_streams(x).to(x.dtype) @ self.weight.to(x.dtype)).tanh()
                sizes = self.sizes.to(x.dtype)
                numbers = numbers + torch.cat(
                    (sizes[0] * moves[..., :-1], sizes[1] * moves[..., -1:]), dim=-1
                )
            read_and_mix, write = numbers[..., :-1], numbers[..., -1:]
            mixed = read_and_mix.transpose(-1, -2) @ x  # (B, T, 1 + n, D)
        y = self.dropout(f(self.norm(mixed[:, :, 0])))
        return mixed[:, :, 1:] + write * y.unsqueeze(2)

    def flops(self, keys: float) -> float:
        """Of reading, mixing and, if dynamic, the numbers, for one token."""
        per_stream = self.n + 1 + (self.n + 2 if self.dynamic else 0)
        return 2.0 * self.n * per_stream * self.dim

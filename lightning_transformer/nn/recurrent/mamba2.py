"""Mamba-2 (Dao & Gu 2024)."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.heads import head_width
from lightning_transformer.nn.init.base import Init, StackInfo
from lightning_transformer.nn.linear import FewOutputs, QueryKey, ResidualOut
from lightning_transformer.nn.recurrent.base import (
    Recurrent,
    RecurrentCache,
    RowOrder,
    to_float32,
)
from lightning_transformer.nn.recurrent.chunked_scan import decayed_sums
from lightning_transformer.nn.recurrent.short_convolution import ShortConvolution

DECAY = (1.0, 16.0)  # where -A of the heads starts, uniform
STEP = (1e-3, 1e-1)  # range of dt at initialisation, log-uniform, for an input of zero


class Mamba2(Recurrent):
    """State-space duality (Dao & Gu 2024, Mamba-2): a state whose decay depends on the token.

    With u, B, C = silu(conv(x W_u, x W_B, x W_C)), z = x W_z and dt = softplus(x W_dt + dt_bias),
    for each head, whose B and C it shares with the others of its group:

        S_t = exp(-dt_t exp(A_log)) S_{t-1} + dt_t B_t^T u_t
        y_t = C_t S_t + skip u_t
        out = W_o (RMSNorm(y * silu(z)) * gain), normed over the heads of a group

    Computed in chunks; float32 at least. The paper's block has no feed-forward layer beside it.

    Raises ValueError where the inner width expand * d_model has no n_heads equal parts, or heads
    no n_groups. Shape: (B, T, D) -> same.
    """

    option = "mamba2"

    def __init__(
        self,
        dim: int,
        *,
        n_heads: int = 4,
        expand: int = 2,
        d_state: int = 64,
        n_groups: int = 1,
        conv_size: int = 4,
        chunk_size: int = 64,
        eps: float = 1e-5,
        bias: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("expand", expand), ("d_state", d_state), ("n_groups", n_groups)):
            checks.at_least(name, value, 1)
        checks.at_least("chunk_size", chunk_size, 1)
        checks.positive("eps", eps, 1e-5)
        inner, shared = expand * dim, n_groups * d_state
        self.n_heads = n_heads
        self.head_dim = head_width(inner, n_heads, "attention.expand * model.d_model")
        if n_heads % n_groups:
            raise ValueError(
                f"attention.n_groups={n_groups} must divide attention.n_heads={n_heads}, as 1 does"
            )
        self.n_groups, self.d_state, self.chunk_size, self.eps = n_groups, d_state, chunk_size, eps
        self.u, self.z = nn.Linear(dim, inner, bias=bias), nn.Linear(dim, inner, bias=bias)
        self.b, self.c = QueryKey(dim, shared, bias=bias), QueryKey(dim, shared, bias=bias)
        self.dt = FewOutputs(dim, n_heads, bias=bias)
        self.conv = ShortConvolution(inner + 2 * shared, size=conv_size, bias=True)
        self.A_log = nn.Parameter(torch.zeros(n_heads))
        self.dt_bias = nn.Parameter(torch.zeros(n_heads))
        self.skip = nn.Parameter(torch.ones(n_heads))
        self.gain = nn.Parameter(torch.ones(inner))
        self.out = ResidualOut(inner, dim, bias=bias)

    def init_weights(self, scheme: Init, info: StackInfo, generator: Generator) -> None:
        """A_log and dt_bias by the paper's own rule, whatever the scheme."""
        draw_decay(self.A_log, self.dt_bias, DECAY, generator)

    def flops(self, keys: float) -> float:
        """Of the recurrence, for one token, where rows have 2 keys - 1 tokens."""
        size, inner = min(self.chunk_size, 2 * keys - 1), self.n_heads * self.head_dim
        return 2 * size * (self.n_groups * self.d_state + inner) + 4 * inner * self.d_state

    def mix(self, x: Tensor, row: RowOrder, past: RecurrentCache) -> Tensor:
        z, dt = self.z(x), self.dt(x)
        mixed = F.silu(self.conv(torch.cat((self.u(x), self.b(x), self.c(x)), dim=-1), row, past))
        shared = self.n_groups * self.d_state
        u, b, c = to_float32(mixed).split((self.n_heads * self.head_dim, shared, shared), dim=-1)
        with torch.autocast(x.device.type, enabled=False):
            step = F.softplus(to_float32(dt) + to_float32(self.dt_bias))
            if row.real is not None:
                step = step * row.real[..., None]  # a pad neither writes nor lets decay
            u = u.unflatten(-1, (self.n_heads, self.head_dim))
            y, past.state = decayed_sums(
                c.unflatten(-1, (self.n_groups, self.d_state)).transpose(1, 2),
                b.unflatten(-1, (self.n_groups, self.d_state)).transpose(1, 2),
                (u * step[..., None]).transpose(1, 2),
                (-step * to_float32(self.A_log).exp()).transpose(1, 2),
                documents=row.documents,
                state=past.state,
                chunk_size=self.chunk_size,
            )
            y = y.transpose(1, 2) + to_float32(self.skip)[:, None] * u
            y = self._normed(y.flatten(2) * F.silu(to_float32(z)))
        return self.out(y.to(x.dtype))

    def _normed(self, y: Tensor) -> Tensor:
        groups = y.unflatten(-1, (self.n_groups, -1))
        return F.rms_norm(groups, groups.shape[-1:], eps=self.eps).flatten(-2) * to_float32(
            self.gain
        )


def draw_decay(
    A_log: Tensor, dt_bias: Tensor, decay: tuple[float, float], generator: Generator
) -> None:
    """exp(A_log) uniform in `decay`; softplus(dt_bias) uniform in STEP, in its logarithm."""
    rates = torch.empty(A_log.shape).uniform_(*decay, generator=generator)
    A_log.copy_(rates.log())
    steps = torch.empty(dt_bias.shape).uniform_(*map(math.log, STEP), generator=generator).exp()
    dt_bias.copy_(steps + (-(-steps).expm1()).log())  # the inverse of softplus

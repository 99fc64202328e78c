"""Gated DeltaNet (Yang et al. 2024)."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.heads import head_width, join_heads, split_heads
from lightning_transformer.nn.init.base import Init, StackInfo
from lightning_transformer.nn.linear import FewOutputs, QueryKey, ResidualOut
from lightning_transformer.nn.recurrent.base import (
    Recurrent,
    RecurrentCache,
    RowOrder,
    to_float32,
)
from lightning_transformer.nn.recurrent.chunked_scan import delta_rule
from lightning_transformer.nn.recurrent.mamba2 import draw_decay
from lightning_transformer.nn.recurrent.short_convolution import ShortConvolution

DECAY = (0.01, 16.0)  # where exp(A_log) of the heads starts, uniform; 0 has no logarithm
UNIT = 1e-6  # added to a squared length, so that a vector of zeros can be brought to length 1


class GatedDeltaNet(Recurrent):
    """The gated delta rule (Yang et al. 2024): a state that decays, and that forgets a key's value.

    With q, k, v = silu(conv(x W_q, x W_k, x W_v)), q and k of length 1, b = sigmoid(x W_b),
    a = exp(-exp(A_log) softplus(x W_a + dt_bias)), for each head:

        S_t = a_t (I - b_t k_t^T k_t) S_{t-1} + b_t k_t^T v_t
        y_t = q_t S_t / sqrt(head_dim)
        out = W_o (RMSNorm(y) * gain * silu(x W_g)), normed over each head

    Computed in chunks; float32 at least. Query and key heads are shared by n_v_heads / n_heads
    value heads each, as in Qwen3-Next.

    Raises ValueError where n_heads does not divide n_v_heads, or d_model without a head_dim.
    Shape: (B, T, D) -> same.
    """

    option = "gated_deltanet"

    def __init__(
        self,
        dim: int,
        *,
        n_heads: int = 4,
        n_v_heads: int = 4,
        head_dim: int | None = None,
        conv_size: int = 4,
        chunk_size: int = 64,
        eps: float = 1e-6,
        bias: bool = False,
    ) -> None:
        super().__init__()
        checks.at_least("chunk_size", chunk_size, 1)
        checks.positive("eps", eps, 1e-6)
        checks.at_least("n_heads", n_heads, 1)
        if n_v_heads < 1 or n_v_heads % n_heads:
            raise ValueError(
                f"attention.n_v_heads={n_v_heads} must be a multiple of attention.n_heads="
                f"{n_heads}, such as {n_heads} or {2 * n_heads}"
            )
        self.n_heads, self.n_v_heads = n_heads, n_v_heads
        self.head_dim = head_width(dim, n_heads) if head_dim is None else head_dim
        checks.at_least("head_dim", self.head_dim, 1)
        self.eps, self.chunk_size = eps, chunk_size
        keys, values = n_heads * self.head_dim, n_v_heads * self.head_dim
        self.q, self.k = QueryKey(dim, keys, bias=bias), QueryKey(dim, keys, bias=bias)
        self.v, self.g = nn.Linear(dim, values, bias=bias), nn.Linear(dim, values, bias=bias)
        self.a = FewOutputs(dim, n_v_heads, bias=bias)
        self.b = FewOutputs(dim, n_v_heads, bias=bias)
        self.conv = ShortConvolution(2 * keys + values, size=conv_size, bias=False)
        self.A_log = nn.Parameter(torch.zeros(n_v_heads))
        self.dt_bias = nn.Parameter(torch.zeros(n_v_heads))
        self.gain = nn.Parameter(torch.ones(self.head_dim))
        self.out = ResidualOut(values, dim, bias=bias)

    def init_weights(self, scheme: Init, info: StackInfo, generator: Generator) -> None:
        """A_log and dt_bias as Mamba-2 draws them, whatever the scheme."""
        draw_decay(self.A_log, self.dt_bias, DECAY, generator)

    def flops(self, keys: float) -> float:
        """Of the recurrence, for one token, where rows have 2 keys - 1 tokens.

        Three products of pairs, the triangular system of a chunk, three products with the state.
        """
        size, width = min(self.chunk_size, 2 * keys - 1), self.head_dim
        return self.n_v_heads * (6 * size * width + 2 * size * width + 6 * width**2)

    def mix(self, x: Tensor, row: RowOrder, past: RecurrentCache) -> Tensor:
        gate, a, b = self.g(x), self.a(x), self.b(x)
        mixed = F.silu(self.conv(torch.cat((self.q(x), self.k(x), self.v(x)), dim=-1), row, past))
        keys = self.n_heads * self.head_dim
        parts = mixed.split((keys, keys, gate.shape[-1]), dim=-1)
        q, k, v = (split_heads(to_float32(part), self.head_dim) for part in parts)
        with torch.autocast(x.device.type, enabled=False):
            rate = to_float32(b).sigmoid()
            log_decay = -to_float32(self.A_log).exp() * F.softplus(
                to_float32(a) + to_float32(self.dt_bias)
            )
            if row.real is not None:  # a pad neither writes nor lets decay
                rate, log_decay = rate * row.real[..., None], log_decay * row.real[..., None]
            n_shared = self.n_v_heads // self.n_heads
            y, past.state = delta_rule(
                _unit(q).repeat_interleave(n_shared, dim=1) * self.head_dim**-0.5,
                _unit(k).repeat_interleave(n_shared, dim=1),
                v,
                rate.transpose(1, 2),
                log_decay.transpose(1, 2),
                documents=row.documents,
                state=past.state,
                chunk_size=self.chunk_size,
            )
            y = F.rms_norm(y, y.shape[-1:], eps=self.eps) * to_float32(self.gain)
            y = join_heads(y) * F.silu(to_float32(gate))
        return self.out(y.to(x.dtype))


def _unit(x: Tensor) -> Tensor:
    return x * (x.square().sum(dim=-1, keepdim=True) + UNIT).rsqrt()

"""Sinusoidal positions (Vaswani et al. 2017)."""

import torch
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.position.base import PositionEncoding, longest_float


class Sinusoidal(PositionEncoding):
    """Fixed waves added to the token embeddings (Vaswani et al. 2017, section 3.5).

    PE(t, 2i) = scale sin(t / base^(2i/D)), PE(t, 2i+1) = scale cos(t / base^(2i/D)). The paper adds
    waves of size 1 to embeddings times sqrt(D); embeddings that start small need a small scale, or
    they are drowned at the start.
    """

    def __init__(
        self,
        *,
        d_model: int,
        n_heads: int,
        head_dim: int,
        max_len: int,
        base: float = 10000.0,
        scale: float = 0.05,
    ) -> None:
        super().__init__(d_model=d_model, n_heads=n_heads, head_dim=head_dim, max_len=max_len)
        checks.positive("base", base, 10000.0)
        checks.positive("scale", scale, 0.05)
        if d_model % 2:
            raise ValueError(
                f"position=sinusoidal needs an even d_model, got {d_model}; try {d_model + 1}"
            )
        self.d_model, self.base, self.scale = d_model, base, scale

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        exact = longest_float(positions.device)  # made here for the reason given in RoPE
        pair = torch.arange(0, self.d_model, 2, device=positions.device, dtype=exact)
        angle = positions[..., None].to(exact) * self.base ** (-pair / self.d_model)
        waves = torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2)  # (..., T, D)
        return x + (self.scale * waves).to(x.dtype)

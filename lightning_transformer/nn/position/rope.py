"""Rotary position embedding (Su et al. 2021)."""

import torch
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.position.base import PositionEncoding, longest_float


class RoPE(PositionEncoding):
    """Rotary position embedding (Su et al. 2021).

    Pair i of the first K = fraction * head_dim numbers of a head is turned by the angle
    t / base^(2i/K); a score then depends only on the distance of query and key. What is left of a
    head is not turned (Black et al. 2022, GPT-NeoX). Pairs are (x_i, x_{i+K/2}), or with
    interleaved (x_2i, x_{2i+1}) as in the paper: the same model up to the order of the weights.
    Angles are exact to float32: bfloat16 has too few digits for positions beyond 256.

    Variants turn more slowly, for rows longer than those of an earlier training: `frequencies` and
    `amplitude`, or turn in some layers only: `acts_on`.
    """

    amplitude = 1.0  # factor of turned queries and keys

    def __init__(
        self,
        *,
        d_model: int,
        n_heads: int,
        head_dim: int,
        max_len: int,
        base: float = 10000.0,
        fraction: float = 1.0,
        interleaved: bool = False,
    ) -> None:
        super().__init__(d_model=d_model, n_heads=n_heads, head_dim=head_dim, max_len=max_len)
        checks.positive("base", base, 10000.0)
        if head_dim % 2:
            raise ValueError(
                f"position=rope needs an even head_dim; got {head_dim} "
                f"(d_model {d_model}, n_heads {n_heads})"
            )
        if not 0 < fraction <= 1:
            raise ValueError(f"fraction={fraction} must be above 0 and at most 1, for example 0.5")
        width = round(fraction * head_dim)
        if width < 2 or width % 2:
            near = max(2, 2 * round(fraction * head_dim / 2)) / head_dim
            raise ValueError(
                f"fraction={fraction} must leave an even number to turn of the {head_dim} numbers "
                f"of a head; nearest {near:g}"
            )
        self.width, self.base, self.interleaved = width, base, interleaved

    def frequencies(self, pair: Tensor) -> Tensor:
        """Radians per token of the pairs, of which `pair` holds the numbers 0, 2, 4, .. < width."""
        return self.base ** (-pair / self.width)

    def angles(self, positions: Tensor) -> Tensor:
        # Made here, not kept as a buffer: `.bfloat16()` on the model would round a buffer.
        exact = longest_float(positions.device)
        pair = torch.arange(0, self.width, 2, device=positions.device, dtype=exact)
        angle = positions[..., None].to(exact) * self.frequencies(pair)
        turn = torch.stack((angle.cos(), angle.sin()))  # (2, [B,] T, width/2)
        if self.amplitude != 1.0:
            turn = self.amplitude * turn
        return turn if turn.ndim == 3 else turn.unsqueeze(2)  # (2, B, 1, T, width/2)

    def rotate(self, x: Tensor, angles: Tensor) -> Tensor:
        cos, sin = angles.unbind(0)
        if self.width < x.shape[-1]:
            turned, rest = x.tensor_split((self.width,), dim=-1)
            return torch.cat((self._turn(turned, cos, sin), rest), dim=-1)
        return self._turn(x, cos, sin)

    def _turn(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        if self.interleaved:
            a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
            pairs = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1)
            return pairs.flatten(-2).to(x.dtype)
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1).to(x.dtype)

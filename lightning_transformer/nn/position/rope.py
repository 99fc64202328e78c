import torch
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.position.base import PositionEncoding


class RoPE(PositionEncoding):
    """Rotary position embedding (Su et al. 2021), half-split layout.

    Pair i of a head, (x_i, x_{i+K/2}), is turned by the angle t / base^(2i/K); a score then depends
    on the distance of query and key alone. Angles are exact to float32: bfloat16 has too few digits
    for positions beyond 256.
    """

    acts_on_scores = True

    def __init__(
        self, *, d_model: int, n_heads: int, head_dim: int, max_len: int, base: float = 10000.0
    ) -> None:
        super().__init__(d_model=d_model, n_heads=n_heads, head_dim=head_dim, max_len=max_len)
        checks.positive("base", base, 10000.0)
        if head_dim % 2:
            raise ValueError(
                f"position=rope needs an even head_dim; got {head_dim} "
                f"(d_model {d_model}, n_heads {n_heads})"
            )
        self.head_dim, self.base = head_dim, base

    def angles(self, positions: Tensor) -> Tensor:
        # Made here, not kept as a buffer: `.bfloat16()` on the model would round a buffer.
        # float64 because float32 is off by 2e-3 at position 32 000; Apple's GPUs have no float64.
        exact = torch.float32 if positions.device.type == "mps" else torch.float64
        pair = torch.arange(0, self.head_dim, 2, device=positions.device, dtype=exact)
        angle = positions[..., None].to(exact) * self.base ** (-pair / self.head_dim)
        turn = torch.stack((angle.cos(), angle.sin()))  # (2, [B,] T, K/2)
        return turn if turn.ndim == 3 else turn.unsqueeze(2)  # (2, B, 1, T, K/2)

    def rotate(self, x: Tensor, angles: Tensor) -> Tensor:
        cos, sin = angles.unbind(0)
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1).to(x.dtype)

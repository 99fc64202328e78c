"""Rotary positions that fade with distance (Sun et al. 2022)."""

import math
from typing import Any

import torch
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.position.rope import RoPE

MOST_GROWTH = 1000.0  # of a key: float16 ends at 65504, and a key is more than 1 to begin with


class XPos(RoPE):
    """Rotary embedding whose scores also fade with distance (Sun et al. 2022, xPos).

    Pair i of the score of query n and key m <= n is that of position=rope times

        zeta_i^((n - m) / scale_base),  zeta_i = (2i/K + gamma) / (1 + gamma),

    so that pairs that turn fast, whose sign is soon left to chance, also fade fast. Queries are
    multiplied by zeta_i^(n / scale_base) and keys by its inverse, with positions counted from the
    middle of max_len: scores are the same, and numbers stay small. Keys to the right of a query
    would grow with distance, so that only causal models can have it. The paper's block-wise
    attention on longer rows is not part of it.
    """

    past_only = True

    def __init__(self, *, gamma: float = 0.4, scale_base: float = 512.0, **rotary: Any) -> None:
        super().__init__(**rotary)
        checks.positive("gamma", gamma, 0.4)
        checks.positive("scale_base", scale_base, 512.0)
        max_len = rotary["max_len"]
        fastest = math.log((1 + gamma) / gamma)
        least = fastest * max_len / (2 * math.log(MOST_GROWTH))
        if scale_base < least:
            raise ValueError(
                f"scale_base={scale_base} lets keys grow more than {MOST_GROWTH:g}-fold in rows "
                f"of {max_len} tokens, too much for 16 bits; use {math.ceil(least)} or more"
            )
        self.gamma, self.scale_base, self.middle = gamma, scale_base, max_len / 2

    def angles(self, positions: Tensor) -> Tensor:
        """Cosines and sines of queries, then those of keys: (4, [B, 1,] T, width/2)."""
        turn = super().angles(positions)
        pair = torch.arange(0, self.width, 2, device=turn.device, dtype=turn.dtype)
        zeta = (pair / self.width + self.gamma) / (1 + self.gamma)
        fade = zeta ** ((positions[..., None].to(turn.dtype) - self.middle) / self.scale_base)
        if fade.ndim == 3:
            fade = fade.unsqueeze(1)  # ([B, 1,] T, width/2)
        return torch.cat((turn * fade, turn / fade))

    def rotate(self, x: Tensor, angles: Tensor) -> Tensor:
        return super().rotate(x, angles[:2])

    def rotate_keys(self, x: Tensor, angles: Tensor) -> Tensor:
        return super().rotate(x, angles[2:])

"""RoPE with YaRN scaling (Peng et al. 2023)."""

import math
from typing import Any

import torch
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.position.rope import RoPE


class RoPEYaRN(RoPE):
    """Rotary embedding stretched pair by pair for longer rows (Peng et al. 2023, YaRN).

    A pair that turned more than beta_fast times in the original_len tokens of an earlier training
    keeps its frequency f; one that turned less than beta_slow times gets f / factor; those between
    are blended, linearly in the number of the pair, whose bounds are rounded outwards. Queries and
    keys grow by 0.1 ln(factor) + 1 each.

    original_len: in tokens; null = max_len / factor.
    """

    def __init__(
        self,
        *,
        factor: float = 4.0,
        original_len: int | None = None,
        beta_fast: float = 32.0,
        beta_slow: float = 1.0,
        **rotary: Any,
    ) -> None:
        super().__init__(**rotary)
        checks.number_from("factor", factor, 1.0)
        checks.positive("beta_slow", beta_slow, 1.0)
        if not beta_fast > beta_slow:
            raise ValueError(
                f"beta_fast={beta_fast} must be above beta_slow={beta_slow}, for example 32.0"
            )
        if self.base <= 1:
            raise ValueError(f"base={self.base} must be above 1, for example 10000.0")
        if original_len is not None:
            checks.at_least("original_len", original_len, 1)
        length = rotary["max_len"] / factor if original_len is None else original_len
        self.factor, self.amplitude = factor, 0.1 * math.log(factor) + 1
        self.first = max(math.floor(self._pair_with(beta_fast, length)), 0)
        self.last = min(math.ceil(self._pair_with(beta_slow, length)), self.width - 1)

    def frequencies(self, pair: Tensor) -> Tensor:
        f = super().frequencies(pair)
        span = max(self.last - self.first, 0.001)  # of one pair: a step
        slow = ((pair / 2 - self.first) / span).clamp(0, 1)
        return torch.lerp(f, f / self.factor, slow)

    def _pair_with(self, turns: float, length: float) -> float:
        """The number, with a fraction, of the pair that turns so often in so many tokens."""
        return self.width * math.log(length / (2 * math.pi * turns)) / (2 * math.log(self.base))

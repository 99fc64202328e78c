"""RoPE with the frequency scaling of Llama 3.1."""

import math
from typing import Any

import torch
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.position.rope import RoPE


class RoPELlama3(RoPE):
    """Rotary embedding stretched by wavelength for longer rows (Llama team 2024, Llama 3.1).

    A pair of frequency f turns n = original_len f / 2 pi times in the rows of an earlier training.
    With n above high_freq_factor it keeps f, below low_freq_factor it gets f / factor, and between
    them f ((1 - s) / factor + s), s = (n - low_freq_factor) / (high_freq_factor - low_freq_factor).

    original_len: in tokens; null = max_len / factor.
    """

    def __init__(
        self,
        *,
        factor: float = 8.0,
        original_len: int | None = None,
        low_freq_factor: float = 1.0,
        high_freq_factor: float = 4.0,
        **rotary: Any,
    ) -> None:
        super().__init__(**rotary)
        checks.number_from("factor", factor, 1.0)
        checks.positive("low_freq_factor", low_freq_factor, 1.0)
        if not high_freq_factor > low_freq_factor:
            raise ValueError(
                f"high_freq_factor={high_freq_factor} must be above "
                f"low_freq_factor={low_freq_factor}, for example 4.0"
            )
        if original_len is not None:
            checks.at_least("original_len", original_len, 1)
        self.length = rotary["max_len"] / factor if original_len is None else original_len
        self.factor, self.low, self.high = factor, low_freq_factor, high_freq_factor

    def frequencies(self, pair: Tensor) -> Tensor:
        f = super().frequencies(pair)
        turns = self.length * f / (2 * math.pi)
        fast = ((turns - self.low) / (self.high - self.low)).clamp(0, 1)
        return torch.lerp(f / self.factor, f, fast)

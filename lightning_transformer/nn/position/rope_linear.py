"""RoPE with position interpolation (Chen et al. 2023)."""

from typing import Any

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.position.rope import RoPE


class RoPELinear(RoPE):
    """Rotary embedding with positions divided by `factor` (Chen et al. 2023, interpolation).

    Pair i turns by t / factor / base^(2i/K): a row `factor` times as long as those of an earlier
    training shows no angle that they did not.
    """

    def __init__(self, *, factor: float = 4.0, **rotary: Any) -> None:
        super().__init__(**rotary)
        checks.number_from("factor", factor, 1.0)
        self.factor = factor

    def frequencies(self, pair: Tensor) -> Tensor:
        return super().frequencies(pair) / self.factor

"""Dilated sliding-window attention (Beltagy et al. 2020)."""

from dataclasses import dataclass

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.pattern.base import Pattern


@dataclass(frozen=True)
class Dilated(Pattern):
    """Every dilation-th key nearer than `window` tokens (Beltagy et al. 2020, Longformer).

    |i - j| < window and dilation divides i - j. Attention then never joins tokens whose
    positions differ modulo dilation: with dilation 2, odd and even positions do not mix.
    """

    window: int = 64
    dilation: int = 2

    def __post_init__(self) -> None:
        checks.at_least("dilation", self.dilation, 2)
        if self.window <= self.dilation:
            raise ValueError(
                f"window={self.window} must be above dilation {self.dilation}, or a query sees "
                f"only itself; for example {8 * self.dilation}"
            )

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        distance = (queries - keys).abs()
        return (distance < self.window) & (distance % self.dilation == 0)

    def reach(self) -> int:
        return self.window

"""Sliding-window attention (Beltagy et al. 2020)."""

from dataclasses import dataclass

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.pattern.base import Pattern


@dataclass(frozen=True)
class SlidingWindow(Pattern):
    """Keys nearer than `window` tokens: |i - j| < window (Beltagy et al. 2020).

    A causal model keeps the left side: the query itself and window - 1 tokens before it.
    """

    window: int = 32

    def __post_init__(self) -> None:
        checks.at_least("window", self.window, 1)

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        return (queries - keys).abs() < self.window

    def reach(self) -> int:
        return self.window

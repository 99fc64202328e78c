"""Sliding-window layers with a global layer in between (Gemma 2 and 3)."""

from dataclasses import dataclass

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.pattern.base import Pattern
from lightning_transformer.nn.pattern.full import Full
from lightning_transformer.nn.pattern.sliding_window import SlidingWindow


@dataclass(frozen=True)
class LocalGlobal(Pattern):
    """n_local layers with a sliding window, then one that sees everything (Gemma 2 and 3, 2024-25).

    With n_local=3: layers 0, 1, 2 local, layer 3 global, and so on. In pattern=global_tokens it is
    tokens that are local or global, not layers.
    """

    window: int = 32
    n_local: int = 3

    def __post_init__(self) -> None:
        checks.at_least("window", self.window, 1)
        checks.at_least("n_local", self.n_local, 1)

    def for_layer(self, layer: int) -> Pattern:
        is_global = layer % (self.n_local + 1) == self.n_local
        return Full() if is_global else SlidingWindow(self.window)

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        raise AssertionError("a pattern that differs by layer is used through for_layer")

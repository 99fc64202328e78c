"""A window and a few global tokens (Beltagy et al. 2020)."""

from dataclasses import dataclass

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.pattern.base import Pattern


@dataclass(frozen=True)
class GlobalTokens(Pattern):
    """Keys nearer than `window`, and first tokens that see all and are seen by all, in every layer.

    |i - j| < window, or i < n_global, or j < n_global (Beltagy et al. 2020, Longformer, with the
    same projections for global tokens as for others). In a causal model later tokens see the first
    ones and not the other way round, as in streaming with attention sinks (Xiao et al. 2023). The
    random keys of BigBird (Zaheer et al. 2020) are not part of it. In pattern=local_global it is
    layers that are local or global, not tokens.
    """

    window: int = 32
    n_global: int = 4

    def __post_init__(self) -> None:
        checks.at_least("window", self.window, 1)
        checks.at_least("n_global", self.n_global, 1)

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        near = (queries - keys).abs() < self.window
        return near | (queries < self.n_global) | (keys < self.n_global)

"""Truncated normal initialisation (Devlin et al. 2019)."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.init.base import Init, StackInfo


@dataclass(frozen=True)
class TruncNormal(Init):
    """N(0, std^2) without what lies further from 0 than cut std (Devlin et al. 2019: cut = 2).

    The deviation of what is left is smaller: 0.88 std for cut = 2, 0.99 std for cut = 3.
    """

    std: float = 0.02
    cut: float = 2.0
    embedding_std: float = 0.02

    def __post_init__(self) -> None:
        checks.positive("std", self.std, 0.02)
        checks.positive("cut", self.cut, 2.0)
        if self.cut > 10:
            raise ValueError(f"cut={self.cut} cuts nothing; use init=normal, or cut=2.0")
        checks.positive("embedding_std", self.embedding_std, 0.02)

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        self._fill(weight, self.std, generator)

    def embedding(self, weight: Tensor, generator: Generator) -> None:
        self._fill(weight, self.embedding_std, generator)

    def _fill(self, weight: Tensor, std: float, generator: Generator) -> None:
        limit = self.cut * std
        nn.init.trunc_normal_(weight, std=std, a=-limit, b=limit, generator=generator)

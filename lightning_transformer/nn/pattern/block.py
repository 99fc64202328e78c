"""Block-local attention (Qiu et al. 2020)."""

from dataclasses import dataclass

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.pattern.base import Pattern


@dataclass(frozen=True)
class BlockPattern(Pattern):
    """Keys of the same block: i // block_len = j // block_len (Qiu et al. 2020).

    Nothing passes from one block to the next.
    """

    block_len: int = 32

    def __post_init__(self) -> None:
        checks.at_least("block_len", self.block_len, 1)

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        return queries // self.block_len == keys // self.block_len

    def reach(self) -> int:
        return self.block_len

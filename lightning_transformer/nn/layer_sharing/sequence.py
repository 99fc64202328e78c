"""Neighbouring layers that share a block."""

from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.nn.layer_sharing.base import LayerSharing


@dataclass(frozen=True)
class SharedSequence(LayerSharing):
    """Neighbouring layers share a block: 0 0 1 1 for four layers and two blocks.

    With one block all layers are the same (Lan et al. 2019, ALBERT, whose groups these are;
    SEQUENCE of Takase & Kiyono 2021). n_blocks: blocks with weights of their own, in each stack.
    """

    n_blocks: int = 1

    def __post_init__(self) -> None:
        checks.at_least("n_blocks", self.n_blocks, 1)

    def order(self, n_layers: int) -> tuple[int, ...]:
        checks.between("n_blocks", self.n_blocks, 1, n_layers)
        return tuple(layer * self.n_blocks // n_layers for layer in range(n_layers))

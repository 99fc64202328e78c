"""Layers that cycle through the blocks."""

from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.nn.layer_sharing.base import LayerSharing


@dataclass(frozen=True)
class Cycle(LayerSharing):
    """Layers take the blocks in turn: 0 1 0 1 for four layers and two blocks.

    (CYCLE of Takase & Kiyono 2021; Dehghani et al. 2018, Universal Transformer, for one block,
    without its embedding of the layer and its halting.) n_blocks: blocks with weights of their
    own, in each stack.
    """

    n_blocks: int = 1

    def __post_init__(self) -> None:
        checks.at_least("n_blocks", self.n_blocks, 1)

    def order(self, n_layers: int) -> tuple[int, ...]:
        checks.between("n_blocks", self.n_blocks, 1, n_layers)
        return tuple(layer % self.n_blocks for layer in range(n_layers))

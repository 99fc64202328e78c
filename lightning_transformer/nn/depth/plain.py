from dataclasses import dataclass

from lightning_transformer.nn.depth.base import Depth


@dataclass(frozen=True)
class Plain(Depth):
    """Every layer has a block, with weights, of its own."""

    def order(self, n_layers: int) -> tuple[int, ...]:
        return tuple(range(n_layers))

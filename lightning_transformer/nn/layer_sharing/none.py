"""No layer sharing."""

from dataclasses import dataclass

from lightning_transformer.nn.layer_sharing.base import LayerSharing


@dataclass(frozen=True)
class NoSharing(LayerSharing):
    """Every layer has a block, with weights, of its own."""

    def order(self, n_layers: int) -> tuple[int, ...]:
        return tuple(range(n_layers))

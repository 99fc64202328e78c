"""Two kinds of attention in one stack (Lieber et al. 2024)."""

from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.layer_info import LayerInfo, configure_layer
from lightning_transformer.nn.types import LayerFactory


class Hybrid(nn.Module):
    """Two kinds of attention in turns: n_first layers of `first`, one of `then`, and again.

    With n_first=3, layers 0 to 2 have `first`, layer 3 `then`, layers 4 to 6 `first` ... (Lieber et
    al. 2024, Jamba; Kimi team 2025). Replaced by the chosen
    layer when the layer index is known, so names of weights are those of that layer.

    Raises ValueError where n_first is below 1, a part is itself a hybrid, or one block computes
    several layers.
    """

    def __init__(
        self, dim: int, *, first: LayerFactory, then: LayerFactory, n_first: int = 3
    ) -> None:
        super().__init__()
        checks.at_least("n_first", n_first, 1)
        for name, kind in (("first", first), ("then", then)):
            if not callable(kind):  # text, where a group's option was meant
                raise ValueError(
                    f"attention.{name}={kind} names no layer: write attention@attention.{name}="
                    f"{kind}"
                )
        self.dim, self.n_first = dim, n_first
        self.first, self.then = first, then

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        turn = info.unshared_layer("attention=hybrid") % (self.n_first + 1)
        kind = self.then if turn == self.n_first else self.first
        layer = kind(self.dim)
        if isinstance(layer, Hybrid):
            raise ValueError("attention=hybrid has no hybrid as a part; choose another attention")
        return configure_layer(layer, info)

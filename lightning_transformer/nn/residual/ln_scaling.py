"""Pre-norm scaled by depth."""

from torch import Tensor, nn

from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import Sublayer


class LNScaling(Residual):
    """x + f(norm(x) / sqrt(l)), l the number of the layer from 1: deep layers keep adding little.

        x --+-- norm -- / sqrt(l) -- f -- dropout --+-- (Sun et al. 2025, the curse of depth)
            +---------------------------------------+

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = True
    scale = 1.0

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        self.scale = (info.unshared_layer("residual=ln_scaling") + 1) ** -0.5
        return self

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return x + self.dropout(f(self.scale * self.norm(x)))

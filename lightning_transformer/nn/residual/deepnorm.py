"""DeepNorm (Wang et al. 2022)."""

from torch import Tensor, nn

from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import Sublayer


class DeepNorm(Residual):
    """norm(alpha x + f(x)): post-norm whose stream weighs more, so that deep stacks train.

        x --+-- f -- dropout --+-- norm -- (Wang et al. 2022)
            +---- * alpha -----+

    N layers alone: alpha = (2 N)^(1/4). N layers that M of a decoder read: 0.81 (N^4 M)^(1/16).
    M layers that read a source: (3 M)^(1/4). Its other half is init=deepnet. A layer is the
    paper's, of two additions, or three with a source: block=macaron has one more, block=parallel
    has all in one, and alpha stays what it is.

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = False
    alpha = 1.0

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        n = info.n_layers
        if info.n_readers:
            self.alpha = 0.81 * (n**4 * info.n_readers) ** (1 / 16)
        else:
            self.alpha = ((3 if info.reads_source else 2) * n) ** (1 / 4)
        return self

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        return self.norm(self.alpha * x + self.dropout(f(x)))

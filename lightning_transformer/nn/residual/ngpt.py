"""Steps on a sphere in place of additions (nGPT)."""

from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.scaled_vector import ScaledVector
from lightning_transformer.nn.types import NormFactory, Sublayer


class NGPT(Residual):
    """A step from x towards what the layer gives, and back to the sphere (Loshchilov et al. 2024).

        h = norm_out(f(x)),  x <- norm(x + |a| * (h - x))

    a: the paper's eigen learning rates, one per channel, from `start` (about 1 / n_layers), learned
    as a `ScaledVector` of scale 1 / sqrt(D). With norm=l2norm x and h have one length, as in the
    paper, where that is 1 and not sqrt(D); other norms bring their gains. The layer reads x as it
    is. preset=ngpt has all parts of the model. Dropout acts on h.

    Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = False

    def __init__(
        self, dim: int, *, norm: NormFactory, start: float = 0.05, dropout: float = 0.0
    ) -> None:
        super().__init__(dim, norm=norm, dropout=dropout)
        checks.positive("start", start, 0.05)
        self.norm_out = norm(dim)
        self.rates = ScaledVector(dim, start=start, scale=dim**-0.5)

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        h = self.dropout(self.norm_out(f(x)))
        return self.norm(x + self.rates().abs() * (h - x))

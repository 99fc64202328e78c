"""Mix-LN (Li et al. 2024)."""

from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.residual.post_norm import PostNorm
from lightning_transformer.nn.residual.pre_norm import PreNorm
from lightning_transformer.nn.types import NormFactory


class MixLN(Residual):
    """Post-norm in the first layers, pre-norm in the others (Li et al. 2024).

    share: of the layers that have post-norm, rounded down, but one at least.

    Each place gets the plain `PostNorm` or `PreNorm`. Shape: (B, T, D) -> (B, T, D).
    """

    needs_final_norm = True

    def __init__(
        self, dim: int, *, norm: NormFactory, share: float = 0.25, dropout: float = 0.0
    ) -> None:
        super().__init__(dim, norm=norm, dropout=dropout)
        checks.fraction("share", share, 0.25)
        checks.positive("share", share, 0.25)
        self._post = PostNorm(dim, norm=norm, dropout=dropout)
        self._pre = PreNorm(dim, norm=norm, dropout=dropout)
        self.share = share

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        if info.n_layers == 1:
            raise ValueError("residual=mix_ln needs two layers or more; use residual=post_norm")
        n_post = max(1, int(self.share * info.n_layers))
        return self._post if info.unshared_layer("residual=mix_ln") < n_post else self._pre

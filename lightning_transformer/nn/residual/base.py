from torch import Tensor, nn

from lightning_transformer.nn.types import Sublayer


class Residual(nn.Module):
    """Contract: how a layer's output f(x) joins the residual stream.

    The stream is what `enter` makes of the embeddings, (B, T, D) or (B, T, n, D); `leave` makes
    (B, T, D) of it after the last layer. needs_final_norm: what leaves has not been normalised.
    """

    needs_final_norm: bool

    def enter(self, x: Tensor) -> Tensor:
        return x

    def leave(self, x: Tensor, final_norm: nn.Module) -> Tensor:
        y = final_norm(x)
        assert isinstance(y, Tensor)
        return y

    def forward(self, x: Tensor, f: Sublayer) -> Tensor:
        raise NotImplementedError

from typing import Protocol

from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext


class Kernel(Protocol):
    """softmax(q k^T / sqrt(K) + bias, limited to mask) v.

    Shapes: q (B, H, T, K), k and v (B, G, S, K) with H a multiple of G -> (B, H, T, K). A query
    that may see nothing gets zeros. `dropout` is the rate to apply now: 0 outside training.
    """

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext, dropout: float
    ) -> Tensor: ...

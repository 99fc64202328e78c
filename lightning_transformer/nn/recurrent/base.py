"""The contract of recurrent layers, which carry a state along the row and have no scores."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.layer_info import LayerInfo


@dataclass
class RecurrentCache:
    """State of a recurrent layer after the past tokens; its size is fixed.

    state: (B, H, N, P). tail: (B, W - 1, C), the last inputs of a convolution. None = no past.
    """

    rewinds: ClassVar[bool] = False

    state: Tensor | None = None
    tail: Tensor | None = None

    def select(self, rows: Tensor) -> None:
        """Make row i what row rows[i], (n,) long, has been."""
        self.state = None if self.state is None else self.state.index_select(0, rows)
        self.tail = None if self.tail is None else self.tail.index_select(0, rows)


@dataclass(frozen=True)
class RowOrder:
    """The new tokens in the order in which a recurrence reads them: pads after all others.

    So a pad never comes before a real token. All are (B, T) or None.

    order: where the token at each place came from; None = no padding.
    real: False at pads.
    documents: number of each token's document; a state ends with its document.
    """

    order: Tensor | None = None
    real: Tensor | None = None
    documents: Tensor | None = None

    @classmethod
    def of(cls, context: AttentionContext) -> "RowOrder":
        if context.padding is None:
            return cls(documents=context.documents)
        order = context.padding.int().argsort(dim=1, stable=True)
        documents = None if context.documents is None else context.documents.gather(1, order)
        return cls(order, ~context.padding.gather(1, order), documents)

    def arrange(self, x: Tensor) -> Tensor:
        """(B, T, D) from the order of the model to that of the recurrence."""
        return x if self.order is None else _taken(x, self.order)

    def restore(self, x: Tensor) -> Tensor:
        """The reverse of `arrange`."""
        return x if self.order is None else _taken(x, self.order.argsort(dim=1))


def _taken(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order[..., None].expand_as(x))


class Recurrent(nn.Module):
    """Contract: a layer in place of attention that carries a state from token to token.

    A subclass sets `option`, `n_heads` and `head_dim`, and implements `mix`.
    Shape: x (B, T, D) -> (B, T, D). Raises ValueError where a layer must read a source or look
    ahead.
    """

    has_scores = False  # patterns, rotations and biases have nothing to act on
    reads_in_order = True  # hears a token through those after it
    option: str
    n_heads: int
    head_dim: int

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        instead = "use attention=linear, attention=mha or model=decoder_only"
        if info.cross:
            raise ValueError(f"attention={self.option} cannot read a source; {instead}")
        if not info.causal:
            raise ValueError(
                f"attention={self.option} sees only the past, an encoder looks both ways; {instead}"
            )
        return self

    def new_cache(self, capacity: int) -> RecurrentCache:
        """An empty cache for decoding; its size does not depend on the number of tokens."""
        return RecurrentCache()

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        cache: RecurrentCache | None = None,
    ) -> Tensor:
        assert memory is None
        row, past = RowOrder.of(context), cache or RecurrentCache()
        assert past.state is None or row.documents is None, "packed rows are not decoded"
        return row.restore(self.mix(row.arrange(x), row, past))

    def mix(self, x: Tensor, row: RowOrder, past: RecurrentCache) -> Tensor:
        """(B, T, D) -> same, as `row` orders it; leaves in `past` what the next tokens need."""
        raise NotImplementedError


def to_float32(x: Tensor) -> Tensor:
    """In float32 at least: states and sums of logarithms lose too much in 16 bits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))

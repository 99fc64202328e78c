"""The contract of embeddings that build their own tied head."""

from typing import Protocol, runtime_checkable

from lightning_transformer.nn.linear import Head


@runtime_checkable
class MakesHead(Protocol):
    """An embedding whose table is not (vocab_size, d_model), and which so makes its own tied head.

    Any other is an nn.Embedding, whose weight the head takes as it is.
    """

    def tied_head(self, *, bias: bool, softcap: float | None) -> Head: ...

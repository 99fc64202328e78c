"""The contract of embeddings that build their own tied head, and how tables are looked up."""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from lightning_transformer.nn.linear import Head


@runtime_checkable
class MakesHead(Protocol):
    """An embedding whose table is not (vocab_size, d_model), and which so makes its own tied head.

    Any other is an nn.Embedding, whose weight the head takes as it is.
    """

    def tied_head(self, *, bias: bool, softcap: float | None) -> Head: ...


def look_up(table: nn.Embedding, ids: Tensor) -> Tensor:
    """The rows of a table, in float32 under autocast, which leaves them and their sums alone.

    A table that `trainer.strategy.gather=bf16` gathers is in bfloat16, and so would be the residual
    stream, and on a CPU the sum of all gradients of one row: it no longer grows beyond 256 of them.
    Shape: (...) long -> (..., D).
    """
    weight = table.weight
    if weight.dtype == torch.bfloat16 and torch.is_autocast_enabled(weight.device.type):
        rows = _WideRows.apply(weight, ids)
        assert isinstance(rows, Tensor)
        return rows
    return nn.Embedding.forward(table, ids)


class _WideRows(torch.autograd.Function):
    """Rows in float32 of a table in 16 bits; its gradient is added up in float32, then rounded."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.n_rows, ctx.dtype = len(weight), weight.dtype
        return nn.functional.embedding(ids, weight).float()

    @staticmethod
    def backward(ctx: Any, by_rows: Tensor) -> tuple[Tensor, None]:
        (ids,) = ctx.saved_tensors
        total = torch.ops.aten.embedding_dense_backward(by_rows, ids, ctx.n_rows, -1, False)
        return total.to(ctx.dtype), None

"""A model as a table that a person can read.

Lightning's ModelSummary has a row for each of the equal blocks of a stack, or for none, counts a
tied table again in its head, and knows shapes and FLOPs only from a forward pass of an example.
"""

from rich.table import Table
from torch import nn

from lightning_transformer.models.base import Transformer
from lightning_transformer.models.size import Size
from lightning_transformer.nn.stack import Stack


def summary(model: Transformer, size: Size, batch: tuple[int, int]) -> Table:
    """Parts, shapes of what they give (B = sequences per step, T = tokens), parameters."""
    rows_per_step, seq_len = batch
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column, side in (("part", "left"), ("gives", "left"), ("parameters", "right")):
        table.add_column(column, justify=side)  # type: ignore[arg-type]
    width = model.embedding.embedding_dim
    rows = f"({rows_per_step}, {seq_len}, {width})"
    for name, stack in model.named_children():
        if isinstance(stack, nn.Embedding):
            table.add_row(name.replace("_", " "), rows, f"{_count(stack):,}")
        if isinstance(stack, Stack):
            n = stack.n_layers
            block = stack.blocks[0]
            table.add_row(f"{name}: {n} x {type(block).__name__}", rows, f"{_count(stack):,}")
            for part, module in block.named_children():
                if _count(module):
                    table.add_row(f"  {part}: {type(module).__name__}", "", f"{_count(module):,}")
    head = model.task.head
    tied = head.weight is model.embedding.weight
    classes = head.out_features
    shape = f"(…, {classes})"
    table.add_row("head (tied)" if tied else "head", shape, f"{0 if tied else _count(head):,}")
    table.add_row(
        "[bold]all[/]",
        f"{size.flops_per_token / 1e6:,.1f} MFLOP per token trained",
        f"[bold]{size.n_params:,}[/]",
    )
    if size.n_frozen:
        table.add_row("trained", "", f"{size.n_params - size.n_frozen:,}")
        table.add_row("frozen", "", f"{size.n_frozen:,}")
    return table


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())

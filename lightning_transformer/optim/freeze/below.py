"""freeze=below: embeddings and the lowest blocks keep their initial values."""

from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.stack import Stack
from lightning_transformer.optim.freeze.embeddings import freeze_modules


def below(model: nn.Module, *, n_blocks: int = 1) -> None:
    """Freeze embeddings and the first n_blocks blocks; of two stacks the encoder's come first.

    No gradient is computed below the lowest block that is trained.
    Raises ValueError for more blocks than there are, and where nothing would be left to train.
    """
    checks.at_least("n_blocks", n_blocks, 1)
    blocks = [b for stack in model.modules() if isinstance(stack, Stack) for b in stack.blocks]
    if n_blocks > len(blocks):
        raise ValueError(
            f"freeze.n_blocks={n_blocks} is more than the {len(blocks)} blocks of this model; at "
            f"most freeze.n_blocks={len(blocks)}"
        )
    tables: list[nn.Module] = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    freeze_modules(model, [*tables, *blocks[:n_blocks]], "below")

"""rates=by_depth: lower layers learn more slowly (Clark et al. 2020, ELECTRA, appendix B)."""

from torch import nn

from lightning_transformer.nn.stack import Stack


def by_depth(model: nn.Module, *, decay: float = 0.8) -> dict[int, float]:
    """lr * decay^k for the k-th block from the top, k from 1; of n blocks tables have k = n + 1.

    A head tied to a table is one. What stands outside of blocks and tables has k = 0. Of two stacks
    the encoder's blocks are below the decoder's. The source has one factor more on all blocks.

    Raises ValueError for a decay that is not in (0, 1).
    """
    if not 0 < decay < 1:
        raise ValueError(f"rates.decay={decay} must be above 0 and below 1, for example 0.8")
    blocks = [b for stack in model.modules() if isinstance(stack, Stack) for b in stack.blocks]
    tables: list[nn.Module] = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    found: dict[int, float] = {}
    parts: list[tuple[list[nn.Module], int]] = [(tables, len(blocks) + 1)]
    parts += [([block], len(blocks) - number) for number, block in enumerate(blocks)]
    for modules, depth in parts:
        for module in modules:
            for parameter in module.parameters():
                found.setdefault(id(parameter), decay**depth)
    return found

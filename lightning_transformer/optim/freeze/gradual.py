"""freeze=gradual: one block more is trained every n steps, from the top (Howard and Ruder 2018)."""

from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.stack import Stack
from lightning_transformer.optim.freeze.base import StandStill


def gradual(model: nn.Module, *, n_steps: int = 100) -> StandStill:
    """In step t (from 0) the upper 1 + t // n_steps blocks are trained, and what is no block.

    Tables of tokens and positions, and a head tied to one, come last, n_steps after the lowest
    block. Of two stacks the encoder's blocks are below the decoder's. What waits has no gradient:
    it neither moves nor decays and does not count in the norm that is clipped. The backward pass
    still computes it, so that a step costs as much as one of freeze=none.
    """
    checks.at_least("n_steps", n_steps, 1)
    blocks = [b for stack in model.modules() if isinstance(stack, Stack) for b in stack.blocks]
    tables: list[nn.Module] = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    seen: set[nn.Parameter] = set()
    waiting: list[list[nn.Parameter]] = []  # the lowest first
    parts: list[list[nn.Module]] = [tables, *([block] for block in blocks[:-1])]
    for modules in parts:
        own = dict.fromkeys(p for module in modules for p in module.parameters())
        waiting.append([parameter for parameter in own if parameter not in seen])
        seen |= set(own)

    def stand_still(step: int) -> list[nn.Parameter]:
        n_waiting = max(0, len(waiting) - step // n_steps)
        return [parameter for part in waiting[:n_waiting] for parameter in part]

    return stand_still

"""What a user should hear once at the start, although the run goes on: a choice without effect."""

from collections.abc import Iterator

import torch
from omegaconf import DictConfig

from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.pattern.base import Pattern
from lightning_transformer.nn.stack import Stack


def notices(cfg: DictConfig, model: Transformer, pattern: Pattern) -> Iterator[str]:
    """One line for each. pattern: as chosen, before the architecture adds to it."""
    window = getattr(pattern, "window", None)
    longest = int(cfg.data.seq_len) + model.task.n_extra_tokens
    stacks = (module for module in model.modules() if isinstance(module, Stack))
    n_layers = max(stack.n_layers for stack in stacks)
    if window is not None and all(sees_all(pattern.for_layer(i), longest) for i in range(n_layers)):
        yield (
            f"pattern.window={window} reaches over all of data.seq_len={cfg.data.seq_len}, so that "
            f"it is the same as pattern=full; a window below {longest} is not"
        )


def sees_all(pattern: Pattern, length: int) -> bool:
    """Whether the first and the last token of a row see all of it, as with pattern=full."""
    places = torch.arange(length)
    ends = places[[0, -1], None]
    return bool(pattern(ends, places).all())

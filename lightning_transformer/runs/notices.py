"""What a user should hear once at the start of a run: choices made for him or without effect."""

from collections.abc import Iterator

import torch
from omegaconf import DictConfig

from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.kernel.auto import Auto
from lightning_transformer.nn.pattern.base import Pattern
from lightning_transformer.nn.position.rope_nope import RoPENoPE
from lightning_transformer.nn.stack import Stack


def notices(cfg: DictConfig, model: Transformer, pattern: Pattern) -> Iterator[str]:
    """One line for each. pattern: as chosen, before the architecture adds to it."""
    axis = str(cfg.match._target_).split(".")[-2] if "match" in cfg else "none"
    if axis != "none":
        yield f"match={axis} changes nothing in a run by itself; compare run solves for it"
    kernels = (getattr(module, "kernel", None) for module in model.modules())
    yield from dict.fromkeys(kernel.choice() for kernel in kernels if isinstance(kernel, Auto))
    window = getattr(pattern, "window", None)
    longest = int(cfg.data.seq_len) + model.task.n_extra_tokens
    stacks = [module for module in model.modules() if isinstance(module, Stack)]
    n_layers = max(stack.n_layers for stack in stacks)
    if window is not None and all(sees_all(pattern.for_layer(i), longest) for i in range(n_layers)):
        yield (
            f"pattern.window={window} reaches over all of data.seq_len={cfg.data.seq_len}, so that "
            f"it is the same as pattern=full; a window below {longest} is not"
        )
    for position in (stack.position for stack in stacks):
        if isinstance(position, RoPENoPE) and all(map(position.acts_on, range(n_layers))):
            yield (
                f"position.n_rope={position.n_rope} turns all {n_layers} layers, so that it is the "
                f"same as position=rope; a number below {n_layers} is not"
            )
            break


def sees_all(pattern: Pattern, length: int) -> bool:
    """Whether the first and the last token of a row see all of it, as with pattern=full."""
    places = torch.arange(length)
    ends = places[[0, -1], None]
    return bool(pattern(ends, places).all())

"""A stack of transformer layers with the defaults of the configuration."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import open_dict

from lightning_transformer.api.overrides import composed_config
from lightning_transformer.build import build, refusing
from lightning_transformer.nn.init.base import initialise
from lightning_transformer.nn.stack import Stack


def build_stack(
    *,
    d_model: int,
    n_layers: int,
    max_len: int = 1024,
    causal: bool = True,
    cross: bool = False,
    overrides: Sequence[str] = (),
    seed: int = 1,
) -> Stack:
    """A stack as a default run has it, with initial weights: (B, T, d_model) -> (B, T, d_model).

    d_model: width, a multiple of attention.n_heads (4). max_len: longest row in tokens. causal: a
    position sees no later one. cross: reads a source as well. overrides: as on the command line,
    e.g. ["norm=dyt", "attention.n_heads=2"]. seed: of the initial weights.
    Raises ConfigError, in one line, for options that do not go together.
    """
    cfg = composed_config(overrides)
    with open_dict(cfg):
        cfg.model.d_model, cfg.data.seq_len, cfg.model.max_len = d_model, max_len, max_len
    with refusing(cfg, "model"):
        stack = Stack(
            d_model=d_model,
            n_layers=n_layers,
            max_len=max_len,
            block=build(cfg, "block"),
            position=build(cfg, "position"),
            norm=build(cfg, "norm"),
            pattern=build(cfg, "pattern"),
            layer_sharing=build(cfg, "layer_sharing"),
            memory_tokens=build(cfg, "memory_tokens"),
            dropout=cfg.model.dropout,
            stochastic_depth=cfg.model.stochastic_depth,
            causal=causal,
            cross=cross,
        )
        initialise(stack, build(cfg, "init"), seed)
    return stack

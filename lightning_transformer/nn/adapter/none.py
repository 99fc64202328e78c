"""adapter=none: every weight is trained."""

from torch import nn

from lightning_transformer.nn.adapter.base import Adapted


def none(model: nn.Module, *, seed: int, lr_mult: float = 1.0) -> Adapted:
    """Add nothing and freeze nothing: None instead of a list of what is trained."""
    return Adapted(None, lr_mult)

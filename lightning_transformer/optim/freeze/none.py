"""freeze=none: every parameter is trained."""

from torch import nn


def none(model: nn.Module) -> None:
    """Freeze nothing."""

"""rates=equal: all parameters have the optimizer's learning rate."""

from torch import nn


def equal(model: nn.Module) -> dict[int, float]:
    """No factor but those that the initialisation gives."""
    return {}

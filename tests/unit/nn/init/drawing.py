"""Large weights as a scheme fills them, role by role."""

import torch
from torch import Generator, Tensor

from lightning_transformer.nn.init.base import Init, StackInfo


def draw(init: Init, role: str, shape: tuple[int, int] = (400, 300), depth: int = 9) -> Tensor:
    """A weight (fan_out, fan_in) of a linear layer, a residual_out, a head or an embedding."""
    weight, generator = torch.empty(shape), Generator().manual_seed(1)
    if role in ("head", "embedding"):
        getattr(init, role)(weight, generator)
    else:
        getattr(init, role)(
            weight, StackInfo(n_residuals=depth, n_layers=depth // 2 or 1), generator
        )
    return weight


def assert_normal(weight: Tensor, std: float) -> None:
    """Mean 0, the deviation, and a share of 68.27 % within it; 120 000 numbers, 4 sigma."""
    assert abs(float(weight.mean())) < 4 * std / 346
    assert abs(float(weight.std()) / std - 1) < 4 / 490
    assert abs(float((weight.abs() < std).float().mean()) - 0.6827) < 4 * 0.4655 / 346


def assert_uniform(weight: Tensor, bound: float) -> None:
    """Within the bound, near it, and with the deviation bound / sqrt(3)."""
    assert float(weight.abs().max()) <= bound
    assert float(weight.abs().max()) > 0.999 * bound
    assert abs(float(weight.std()) * 3**0.5 / bound - 1) < 0.01

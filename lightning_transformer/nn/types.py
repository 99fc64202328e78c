"""Types of the factories from which a model builds its parts."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

NormFactory = Callable[[int], nn.Module]  # norm(dim)
ActivationFactory = Callable[[], Any]  # activation(), has n_inputs
LayerFactory = Callable[[int], Any]  # attention(dim), ffn(dim)
ModuleFactory = Callable[..., Any]  # residual, block, position: keyword sizes
Sublayer = Callable[[Tensor], Tensor]  # what a residual wraps

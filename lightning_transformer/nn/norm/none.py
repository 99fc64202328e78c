"""No normalisation."""

from torch import nn


class NoNorm(nn.Identity):
    """No normalisation: y = x. Deep stacks then need an init made for it, such as fixup."""

    def __init__(self, dim: int) -> None:
        super().__init__()

"""adapter=head: what the run adds to the model is trained, and nothing else."""

from torch import nn

from lightning_transformer.nn.adapter.base import Adapted


def head(model: nn.Module, *, seed: int, lr_mult: float = 10.0) -> Adapted:
    """Train no weight but those of new parts, such as the head of another task.

    Cost: no more parameters and FLOPs; the gradient goes no deeper than the new parts.
    """
    return Adapted([], lr_mult)

"""Which parameters a run trains: the one answer that all who need it ask for.

The optimizer, clipping, means of weights, sizes, the checks of memory and disk, and checkpoints.
Some of these parameters may stand still for a while (`freeze=gradual`); they are trained all the
same.
"""

from torch import nn


def trained_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Every parameter that the run may change, each once, in the order of the model."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def frozen_names(model: nn.Module) -> list[str]:
    """The names in the state dict of all other parameters; a shared one has several."""
    trained = {id(parameter) for parameter in trained_parameters(model)}
    named = model.named_parameters(remove_duplicate=False)
    return [name for name, parameter in named if id(parameter) not in trained]

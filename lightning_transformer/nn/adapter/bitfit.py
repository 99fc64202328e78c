"""adapter=bitfit: only biases are trained (Ben Zaken et al. 2022)."""

from torch import nn

from lightning_transformer.nn.adapter.base import Adapted


def bitfit(model: nn.Module, *, seed: int, lr_mult: float = 10.0) -> Adapted:
    """Train the biases of linear layers and norms.

    Cost: no more parameters and FLOPs; nothing to merge.
    Raises ValueError for a model without biases.
    """
    found = (getattr(module, "bias", None) for module in model.modules())
    biases = [bias for bias in found if isinstance(bias, nn.Parameter)]
    if not biases:
        raise ValueError(
            "adapter=bitfit has nothing to train: no layer of this model has a bias; use "
            "adapter=lora"
        )
    return Adapted(biases, lr_mult)

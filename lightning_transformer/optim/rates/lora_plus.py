"""rates=lora_plus: the two factors of a low-rank update learn at two rates (Hayou et al. 2024)."""

from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.adapter.lora import LowRank


def lora_plus(model: nn.Module, *, ratio: float = 16.0) -> dict[int, float]:
    """ratio * lr for every B of W + (alpha / rank) B A; A and all else have lr.

    Raises ValueError for a model without low-rank updates.
    """
    checks.positive("rates.ratio", ratio, 16.0)
    found = {id(m.b.weight): ratio for m in model.modules() if isinstance(m, LowRank)}
    if not found:
        raise ValueError(
            "rates=lora_plus finds no low-rank update, whose two factors it is for; use "
            "adapter=lora, rslora or dora, or rates=equal"
        )
    return found

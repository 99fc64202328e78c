"""The options of sampling, checked without torch."""

import math
from dataclasses import dataclass

from lightning_transformer.nn import checks

LEAST_TEMPERATURE = 1e-3  # below it float32 scores divided by it overflow


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn: softmax(scores / temperature), cut to top_k, then to top_p, then drawn.

    temperature: 0 = always the likeliest token, which leaves nothing for the others to do.
    top_k: only the k likeliest tokens, >= 1 (Fan et al. 2018). top_p: only the likeliest tokens
    that together reach probability p, (0, 1] (Holtzman et al. 2020). None = no cut.
    Raises ValueError for values outside these ranges, and for a cut at temperature 0.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        t = self.temperature
        if t != 0 and not (math.isfinite(t) and t >= LEAST_TEMPERATURE):
            raise ValueError(
                f"temperature={t} must be 0 (greedy) or at least {LEAST_TEMPERATURE}, "
                "for example 0.8"
            )
        if self.top_k is not None:
            checks.at_least("top_k", self.top_k, 1, 50)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p} must be in (0, 1], for example 0.95")
        for name, value in (("top_k", self.top_k), ("top_p", self.top_p)):
            if t == 0 and value is not None:
                raise ValueError(
                    f"{name}={value} has no effect on greedy decoding; set a "
                    "temperature, for example 0.8"
                )

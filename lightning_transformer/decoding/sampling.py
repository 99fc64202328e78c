"""How tokens are chosen: options of sampling, beam search and drafts, checked without torch."""

import math
from dataclasses import dataclass

from lightning_transformer.nn import checks

LEAST_TEMPERATURE = 1e-3  # below it float32 scores divided by it overflow


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn: softmax(scores / temperature), cut to top_k, top_p, min_p, then drawn.

    temperature: 0 = always the likeliest token, which leaves nothing for the others to do.
    top_k: only the k likeliest tokens, >= 1 (Fan et al. 2018). top_p: only the likeliest tokens
    that together reach probability p, (0, 1] (Holtzman et al. 2020). min_p: only tokens of at
    least p times the probability of the likeliest, (0, 1] (Nguyen et al. 2024). None = no cut.
    Raises ValueError for values outside these ranges, and for a cut at temperature 0.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def __post_init__(self) -> None:
        t = self.temperature
        if t != 0 and not (math.isfinite(t) and t >= LEAST_TEMPERATURE):
            raise ValueError(
                f"temperature={t} must be 0 (greedy) or at least {LEAST_TEMPERATURE}, "
                "for example 0.8"
            )
        if self.top_k is not None:
            checks.at_least("top_k", self.top_k, 1, 50)
        for name, value, near in (("top_p", self.top_p, 0.95), ("min_p", self.min_p, 0.05)):
            if value is not None and not 0 < value <= 1:
                raise ValueError(f"{name}={value} must be in (0, 1], for example {near}")
        for name in ("top_k", "top_p", "min_p"):
            if t == 0 and getattr(self, name) is not None:
                raise ValueError(
                    f"{name}={getattr(self, name)} has no effect on greedy decoding; set a "
                    "temperature, for example 0.8"
                )


@dataclass(frozen=True)
class Beams:
    """Beam search: the n_beams likeliest texts are kept at each token.

    A text y of T tokens, its end included, is scored log p(y) / T^length_penalty: 0 = by its
    probability, 1 = per token, above 1 longer texts gain. n_best: how many texts are given,
    best first, 1 to n_beams. Raises ValueError for values outside these ranges.
    """

    n_beams: int = 4
    length_penalty: float = 1.0
    n_best: int = 1

    def __post_init__(self) -> None:
        checks.at_least("n_beams", self.n_beams, 2, 4)
        checks.number_from("length_penalty", self.length_penalty, -10, 1.0)
        checks.at_least("n_best", self.n_best, 1)
        if self.n_best > self.n_beams:
            raise ValueError(
                f"n_best={self.n_best} must be at most n_beams={self.n_beams}, the texts that are "
                "kept"
            )


def check_repetition_penalty(value: float) -> None:
    """Raise ValueError for a repetition penalty below 1, which would ask for repetition."""
    checks.number_from("repetition_penalty", value, 1, 1.2)

"""Generation as the samples of a run need it: by temperature alone, with fixed seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lightning_transformer.generate.respond import respond
from lightning_transformer.generate.sample import make_sampler, row_seed
from lightning_transformer.generate.sampling import Sampling


def spoken(
    model: Any, rows: Sequence[np.ndarray], *, max_new_tokens: int, temperature: float = 0.0
) -> list[list[int]]:
    """Token ids per row; temperature 0 is greedy."""
    seeds = [row_seed(0, number) for number in range(len(rows))]
    sampler = make_sampler(Sampling(temperature), seeds)
    return respond(model, rows, max_new_tokens=max_new_tokens, sampler=sampler)

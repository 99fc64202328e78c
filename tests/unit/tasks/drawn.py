"""Examples at random for each kind that tasks eat, and their batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from lightning_transformer.data.examples import (
    Labelled,
    MultiLabelled,
    Pair,
    Preference,
    Rated,
    Tagged,
    Tokens,
)
from lightning_transformer.tasks.base import IGNORE, Batch, Task


def examples(kind: type, n: int, *, equal: bool = False, seed: int = 0) -> list[Any]:
    """n examples of letters, of 3 to 15 tokens, or of 15 each."""
    random = np.random.default_rng(seed)

    def row(size: int) -> np.ndarray:
        return random.integers(97, 123, size).astype(np.int32)

    drawn: list[Any] = []
    for _ in range(n):
        size = 15 if equal else int(random.integers(3, 16))
        if kind is Tokens:
            drawn.append(Tokens(row(size + 1)))
        elif kind is Pair:
            drawn.append(Pair(row(size), row(max(1, size - 2))))
        elif kind is Preference:
            drawn.append(Preference(row(max(1, size - 6)), row(min(size, 6)), row(min(size, 5))))
        elif kind is Labelled:
            drawn.append(Labelled(row(size), int(random.integers(0, 3))))
        elif kind is MultiLabelled:
            drawn.append(MultiLabelled(row(size), np.flatnonzero(random.integers(0, 2, 3))))
        elif kind is Rated:
            drawn.append(Rated(row(size), float(random.normal())))
        else:
            tags = random.integers(0, 3, size)
            tags[1::2] = IGNORE
            drawn.append(Tagged(row(size), tags))
    return drawn


def drawn_batch(task: Task, n: int = 4, *, split: str = "train", seed: int = 0) -> Batch:
    """A batch of the task's own collator, with the targets of its step counted."""
    chosen = examples(task.example, n, equal=True, seed=seed)
    batch = task.collator(split)(chosen, list(range(seed, seed + n)))
    return batch._replace(step_targets=batch.n_targets)

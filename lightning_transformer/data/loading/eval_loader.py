"""The loader of the validation and test splits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from lightning_transformer.data.loading.train_loader import Collate, example_seeds, torch_loader
from lightning_transformer.data.split import Split

_FIRST = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)  # epoch and index


@dataclass(eq=False)
class _EvaluationBatches(Dataset[Any]):
    """Item b = the b-th batch of this rank's examples; those from n_own on do not count."""

    split: Split
    collate: Collate
    seed: int
    batch_size: int
    rank: int
    world_size: int
    limit: int | None

    def __post_init__(self) -> None:
        n_examples = len(self.split)
        if self.limit is not None:
            n_examples = min(n_examples, self.limit * self.batch_size)
        self.rows = range(self.rank, n_examples, self.world_size)
        self.n_own = -(-len(self.rows) // self.batch_size)
        n_rows_of_first = len(range(0, n_examples, self.world_size))
        self.n_batches = -(-n_rows_of_first // self.batch_size)

    def __len__(self) -> int:
        return self.n_batches

    def __getitem__(self, item: int) -> Any:
        if item >= self.n_own:
            first = self.collate([self.split.get(0, 0)], example_seeds(self.seed, *_FIRST))
            return first._replace(step_targets=None)
        rows = self.rows[item * self.batch_size : (item + 1) * self.batch_size]
        indices = np.array(rows, dtype=np.int64)
        seeds = example_seeds(self.seed, np.zeros_like(indices), indices)
        batch = self.collate([self.split.get(row, 0) for row in rows], seeds)
        return batch._replace(step_targets=batch.n_targets)


class EvaluationLoader:
    """One pass over a split in order; over all ranks every example comes exactly once.

    Rank r takes the examples r, r + world_size, ...; the last batch may be short. All ranks have
    equally many batches, because sharded models compute together: a rank without examples left gets
    one that does not count, with step_targets None. Random integers are those of epoch 0, the same
    every time. batch_size counts examples per batch of one rank. limit: only so many batches of
    examples, from the first on; the same ones for any number of ranks. None = all.
    """

    def __init__(
        self,
        split: Split,
        collate: Collate,
        *,
        seed: int,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        limit: int | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self._batches = _EvaluationBatches(
            split, collate, seed, batch_size, rank, world_size, limit
        )
        self._loader = torch_loader(self._batches, None, num_workers, pin_memory)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._loader)

"""The order of the samples of several parts: each part shuffled, dealt out by quota."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lightning_transformer.data.loading.buckets import by_length
from lightning_transformer.data.loading.permutation import visited
from lightning_transformer.data.mixing.quota import Quota


def part_seed(seed: int, name: str) -> int:
    """The seed of a part's order, in [0, 2**63), which no other part changes.

    With one seed, parts of equally many examples would be visited in step, line by line.
    """
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@dataclass(eq=False)
class MixedOrder:
    """Which example of which part stands at each place of the endless stream.

    `Quota` says which part a place belongs to and how many samples of it came before; that number
    is a place in the part's own stream of shuffled epochs. Where lengths differ, the steps of a
    pool of bucket_steps get a random order by length, and the examples of each part change places
    among its own, so that a step has those of one quantile of each part: shares hold at every step.
    A pure function of its arguments; memory is that of a few pools.

    names, sizes: of the parts, with their examples. lengths: of each part, as
    `SampleOrder` has them; None = all alike. Examples are numbered through all parts. seed in
    [0, 2**63). bucket_steps: 1 = no pools.
    """

    names: Sequence[str]
    sizes: Sequence[int]
    lengths: Sequence[np.ndarray] | None
    quota: Quota
    seed: int
    batch_size: int
    bucket_steps: int = 128
    _pools: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._seeds = [part_seed(self.seed, name) for name in self.names]
        self._starts = np.cumsum([0, *self.sizes])

    @property
    def size(self) -> int:
        """Examples of a pool."""
        return self.bucket_steps * self.batch_size

    def samples(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return epochs and indices (count,) of the stream from place `first` on.

        The epoch is that of the example's part.
        """
        last = first + count - 1
        pools = [self._pool(number) for number in range(first // self.size, last // self.size + 1)]
        begin = first % self.size
        epochs, indices = (
            np.concatenate([pool[i] for pool in pools])[begin : begin + count] for i in (0, 1)
        )
        return epochs, indices

    def counts(self, n: int) -> np.ndarray:
        """The examples (n_parts,) of each part among the first n of the stream."""
        return self.quota.counts(np.array([n]))[:, 0]

    def _pool(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Epochs and indices (size,) of a pool, in order."""
        if number not in self._pools:
            if len(self._pools) > 4:  # a step touches two, and workers run a bit apart
                del self._pools[next(iter(self._pools))]
            self._pools[number] = self._made(number)
        return self._pools[number]

    def _made(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        parts, places = self.quota.dealt(number * self.size, self.size)
        epochs, indices = np.empty_like(places), np.empty_like(places)
        like = self._likeness(number)
        end = None if self.quota.end is None else self.quota.end - number * self.size
        for part, n in enumerate(self.sizes):
            mine = np.flatnonzero(parts == part)
            of, within = np.divmod(places[mine], n)
            found = np.empty_like(within)
            for epoch in np.unique(of).tolist():
                here = of == epoch
                found[here] = visited(within[here], self._seeds[part], epoch, n)
            if like is not None and self.lengths is not None:
                # What comes behind the end of the stream takes no place before it.
                n_own = len(mine) if end is None else int(np.searchsorted(mine, end))
                ranked = by_length(self.lengths[part][found[:n_own]])
                of[:n_own], found[:n_own] = of[ranked], found[ranked]
                mine[:n_own] = mine[np.argsort(like[mine[:n_own]], kind="stable")]
            epochs[mine], indices[mine] = of, found + self._starts[part]
        return epochs, indices

    def _likeness(self, number: int) -> np.ndarray | None:
        """For each place of a pool (size,), the rank of its step by length; None = unsorted."""
        if self.lengths is None or self.bucket_steps == 1:
            return None
        counter = [0, 0, 0, number + 1]
        random = np.random.Generator(np.random.Philox(key=[self.seed, 0], counter=counter))
        return np.repeat(random.permutation(self.bucket_steps), self.batch_size)

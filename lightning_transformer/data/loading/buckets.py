"""The order of the samples: shuffled epochs, with examples of similar length in a step."""

from dataclasses import dataclass, field

import numpy as np

from lightning_transformer.data.loading.permutation import visited


def by_length(lengths: np.ndarray) -> np.ndarray:
    """The order (n,) in which neighbours are most alike.

    lengths: (n,), or of pairs (n, 2). These come by their longer side, and those of one such length
    from the shortest source to the shortest target, at the next length back again: a step that is
    cut out of this has few pads on both sides.
    """
    if lengths.ndim == 1:
        return np.argsort(lengths, kind="stable")
    longer, leaning = lengths.max(axis=1), lengths[:, 0] - lengths[:, 1]
    return np.lexsort((np.where(longer % 2, leaning, -leaning), longer))


@dataclass(eq=False)
class SampleOrder:
    """Which example stands at each place of the endless stream of shuffled epochs.

    Where lengths differ, the examples of bucket_steps steps, a pool, are sorted by length, cut into
    steps, and the steps put in a random order: less padding. Every example still comes once an
    epoch. A pure function of its arguments, computed pool by pool: memory is 8 bytes for each
    example of a few pools.

    n: examples. lengths: (n,), of pairs (n, 2), or None = all alike. seed in [0, 2**63).
    bucket_steps: 1 = no pools.
    """

    n: int
    lengths: np.ndarray | None
    seed: int
    batch_size: int
    bucket_steps: int = 128
    _pools: dict[tuple[int, int], np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        """Examples of a pool."""
        return self.bucket_steps * self.batch_size

    def samples(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return epochs and indices (count,) of the stream from place `first` on."""
        epochs, places = np.divmod(np.arange(first, first + count), self.n)
        indices = np.empty_like(places)
        for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
            of_epoch = epochs == epoch
            here = places[of_epoch]
            numbers = (here - self._head(epoch)) // self.size
            found = np.empty_like(here)
            for number in range(int(numbers[0]), int(numbers[-1]) + 1):
                mine = numbers == number
                start, visits = self._pool(epoch, number)
                found[mine] = visits[here[mine] - start]
            indices[of_epoch] = found
        return epochs, indices

    def _head(self, epoch: int) -> int:
        """Examples before the first complete step of an epoch: they end one of the epoch before."""
        return -epoch * self.n % self.batch_size

    def _pool(self, epoch: int, number: int) -> tuple[int, np.ndarray]:
        """The place at which a pool begins, and its examples in order; -1 is before the first."""
        start = max(0, self._head(epoch) + number * self.size)
        if (epoch, number) not in self._pools:
            if len(self._pools) > 4:  # a step touches two or three, and workers run a bit apart
                del self._pools[next(iter(self._pools))]
            end = min(self._head(epoch) + (number + 1) * self.size, self.n)
            visits = visited(np.arange(start, end), self.seed, epoch, self.n)
            if self.lengths is not None and self.bucket_steps > 1 and number >= 0:
                visits = self._sorted(visits, epoch, number)
            self._pools[epoch, number] = visits
        return start, self._pools[epoch, number]

    def _sorted(self, visits: np.ndarray, epoch: int, number: int) -> np.ndarray:
        assert self.lengths is not None
        counter = [0, 0, 0, number + 1]
        random = np.random.Generator(np.random.Philox(key=[self.seed, epoch], counter=counter))
        visits = visits[by_length(self.lengths[visits])]
        complete = len(visits) // self.batch_size * self.batch_size
        steps = visits[:complete].reshape(-1, self.batch_size)
        return np.concatenate([random.permutation(steps).reshape(-1), visits[complete:]])

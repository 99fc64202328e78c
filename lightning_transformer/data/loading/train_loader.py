"""The training loader, which works in optimizer steps and resumes exactly.

Which examples step s uses is a pure function of (seed, s) and of what is skipped: the same for
every number of ranks, micro-batches and workers, and for a resumed run. Two variants with one seed
see the same samples.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lightning_transformer.data.loading.skipped_steps import LeftOut
from lightning_transformer.data.split import Split
from lightning_transformer.nn import checks


class CountedBatch(Protocol):
    """What the loader needs of a batch: a NamedTuple with `n_targets` and `step_targets`."""

    @property
    def n_targets(self) -> Tensor: ...

    def _replace(self, **fields: Any) -> Any: ...


Collate = Callable[[Sequence[Any], Sequence[int]], Any]
"""(examples, one random integer below 2**63 per example) -> CountedBatch."""


def order(seed: int, epoch: int, n: int) -> np.ndarray:
    """Return the order (n,) in which pass `epoch` visits n examples, a pure function."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(n)


POOL = 8  # steps among which examples are exchanged so that those of a step are equally long


def bucketed(
    visits: np.ndarray, lengths: np.ndarray, batch_size: int, *, seed: int, epoch: int
) -> np.ndarray:
    """Regroup an epoch's order so that each step has examples of similar length: less padding.

    Within pools of POOL steps the examples are sorted by length, cut into steps, and the steps put
    in a random order. A pure function of its arguments; every example still comes once.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, epoch]).jumped())
    # The examples before the first complete step of this epoch end a step of the one before.
    first = -epoch * len(visits) % batch_size
    parts = [visits[:first]]
    for start in range(first, len(visits), POOL * batch_size):
        pool = visits[start : start + POOL * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        complete = len(pool) // batch_size * batch_size
        steps = pool[:complete].reshape(-1, batch_size)
        parts += [random.permutation(steps).reshape(-1), pool[complete:]]
    return np.concatenate(parts)


def _mix(x: np.ndarray) -> np.ndarray:
    """Scramble 64-bit integers (the finaliser of splitmix64; Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def example_seeds(seed: int, epochs: np.ndarray, indices: np.ndarray) -> list[int]:
    """Return one integer below 2**63 per example: a pure function of (seed, epoch, index)."""
    state: np.ndarray = np.full(indices.shape, seed, dtype=np.uint64)
    for value in (epochs, indices):
        state = _mix(state + np.uint64(0x9E3779B97F4A7C15)) ^ value.astype(np.uint64)
    return (_mix(state + np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(1)).tolist()


def check_batch_size(batch_size: int, n_examples: int, accumulate: int, world_size: int) -> None:
    """Refuse a step that cannot be cut evenly, or that is larger than an epoch."""
    checks.at_least("trainer.accumulate", accumulate, 1)
    part = accumulate * world_size
    if batch_size % part:
        below = batch_size // part * part
        nearest = ", ".join(str(b) for b in (below, below + part) if b > 0)
        raise ValueError(
            f"data.batch_size={batch_size} is not a multiple of trainer.accumulate {accumulate} "
            f"x {world_size} ranks = {part}; nearest {nearest}"
        )
    if batch_size > n_examples:
        raise ValueError(
            f"data.batch_size={batch_size} is larger than the training split of {n_examples} "
            f"examples; use at most {n_examples}"
        )


@dataclass(eq=False)
class _Steps(Dataset[list[Any]]):
    """Item s = the list of this rank's micro-batches of optimizer step s."""

    split: Split
    collate: Collate
    seed: int
    batch_size: int
    accumulate: int
    rank: int
    world_size: int

    def __post_init__(self) -> None:
        self.share = self.batch_size // self.world_size
        self.first = self.rank * self.share
        self._orders: dict[int, np.ndarray] = {}

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            # A step touches at most two epochs, and workers run a few steps apart.
            for old in [e for e in self._orders if abs(e - epoch) > 1]:
                del self._orders[old]
            visits = order(self.seed, epoch, len(self.split))
            lengths = self.split.lengths
            if lengths is not None:
                visits = bucketed(visits, lengths, self.batch_size, seed=self.seed, epoch=epoch)
            self._orders[epoch] = visits
        return self._orders[epoch]

    def samples(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return epochs and indices (count,) of the endless stream from position `first` on."""
        epochs, places = np.divmod(np.arange(first, first + count), len(self.split))
        if epochs[0] == epochs[-1]:
            return epochs, self._order(int(epochs[0]))[places]
        indices = np.empty_like(places)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            indices[here] = self._order(int(epoch))[places[here]]
        return epochs, indices

    def __getitem__(self, step: int) -> list[Any]:
        epochs, indices = self.samples(step * self.batch_size + self.first, self.share)
        seeds = example_seeds(self.seed, epochs, indices)
        examples = list(map(self.split.get, indices.tolist(), epochs.tolist()))
        rows = self.share // self.accumulate
        batches = [
            self.collate(examples[i : i + rows], seeds[i : i + rows])
            for i in range(0, self.share, rows)
        ]
        step_targets = torch.stack([batch.n_targets for batch in batches]).sum()
        return [batch._replace(step_targets=step_targets) for batch in batches]


class _StepNumbers(Sampler[int]):
    """The data steps of the training steps from `start` on, without end."""

    def __init__(self, left_out: LeftOut) -> None:
        self.start, self.left_out = 0, left_out

    def __iter__(self) -> Iterator[int]:
        return map(self.left_out.place, itertools.count(self.start))


def _as_is(item: Any) -> Any:
    return item


def torch_loader(
    dataset: Dataset[Any], sampler: Sampler[int] | None, num_workers: int, pin_memory: bool
) -> DataLoader[Any]:
    """Wrap a data set whose items are finished batches."""
    if num_workers:
        # All text is encoded by now. Left unset, the tokenizers library prints a warning in each
        # worker that is forked from a process in which it has used threads.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=sampler,
        collate_fn=_as_is,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=pin_memory,
        # Without one, each pass would draw a number from the global generator of torch, and
        # validation would change the training that follows.
        generator=torch.Generator(),
    )


class StepLoader:
    """Endless iterator over micro-batches, each with the number of targets of its step.

    Step s takes the examples at positions s * batch_size .. (s + 1) * batch_size of the endless
    stream of shuffled epochs; rank r takes its contiguous share, cut into `accumulate`
    micro-batches. `step_targets` of each is the sum of `n_targets` over this rank's micro-batches
    of the step. Iteration goes on where the last one, or the loaded state, stopped.

    batch_size counts examples per optimizer step over all ranks and micro-batches. left_out: steps
    of the stream to pass over; to be changed before iteration begins.
    Raises ValueError when it cannot be divided so, or exceeds the number of examples.
    """

    def __init__(
        self,
        split: Split,
        collate: Collate,
        *,
        seed: int,
        batch_size: int,
        accumulate: int = 1,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
        pin_memory: bool = False,
        left_out: LeftOut | None = None,
    ) -> None:
        check_batch_size(batch_size, len(split), accumulate, world_size)
        self.n_examples = len(split)
        self.seed, self.batch_size, self.accumulate = seed, batch_size, accumulate
        self._handed_out = 0
        self._left_out = LeftOut() if left_out is None else left_out
        self._numbers = _StepNumbers(self._left_out)
        self._steps = _Steps(split, collate, seed, batch_size, accumulate, rank, world_size)
        self._loader = torch_loader(self._steps, self._numbers, num_workers, pin_memory)

    def __len__(self) -> int:
        # Lightning fetches one batch ahead from a loader without length, which would make the
        # saved position wrong by one.
        return 10**9

    def __iter__(self) -> Iterator[Any]:
        self._numbers.start, skip = divmod(self._handed_out, self.accumulate)
        for batches in self._loader:
            for batch in batches[skip:]:
                self._handed_out += 1
                yield batch
            skip = 0

    def sample_ids(self, step: int) -> np.ndarray:
        """Return the example numbers (batch_size,) of a step over all ranks, in order."""
        first = self._left_out.place(step) * self.batch_size
        return self._steps.samples(first, self.batch_size)[1]

    def state_dict(self) -> dict[str, Any]:
        """Return the position: micro-batches handed out (prefetched ones do not count)."""
        return {
            "micro_batches": self._handed_out,
            "accumulate": self.accumulate,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "left_out": [list(part) for part in self._left_out.ranges],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at a saved position; the number of ranks and micro-batches may have changed.

        What the saved run left out is left out besides what this one does. Raises ValueError for
        another seed or batch size, and for a position inside a step when the number of
        micro-batches has changed.
        """
        for key, value in (("seed", self.seed), ("batch_size", self.batch_size)):
            if state[key] != value:
                raise ValueError(
                    f"{key}={value} differs from {key}={state[key]} of the saved position in the "
                    f"data; resume with {key}={state[key]}"
                )
        steps, rest = divmod(state["micro_batches"], state["accumulate"])
        if rest and state["accumulate"] != self.accumulate:
            raise ValueError(
                f"trainer.accumulate={self.accumulate} cannot resume inside a step that was cut "
                f"into {state['accumulate']}; use trainer.accumulate={state['accumulate']}"
            )
        self._handed_out = steps * self.accumulate + rest
        self._left_out.merge(state.get("left_out", []))

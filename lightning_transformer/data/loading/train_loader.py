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

from lightning_transformer.data.loading.buckets import SampleOrder
from lightning_transformer.data.loading.permutation import GOLDEN, mix
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


def example_seeds(seed: int, epochs: np.ndarray, indices: np.ndarray) -> list[int]:
    """Return one integer below 2**63 per example: a pure function of (seed, epoch, index)."""
    state: np.ndarray = np.full(indices.shape, seed, dtype=np.uint64)
    for value in (epochs, indices):
        state = mix(state + GOLDEN) ^ value.astype(np.uint64)
    return (mix(state + GOLDEN) >> np.uint64(1)).tolist()


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
    bucket_steps: int

    def __post_init__(self) -> None:
        self.share = self.batch_size // self.world_size
        self.first = self.rank * self.share
        given = (self.seed, self.batch_size, self.bucket_steps)
        if own := getattr(self.split, "order", None):  # a mixture deals out its parts
            self.order = own(*given)
        else:
            self.order = SampleOrder(len(self.split), self.split.lengths, *given)

    def __getitem__(self, step: int) -> list[Any]:
        epochs, indices = self.order.samples(step * self.batch_size + self.first, self.share)
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

    def __init__(self, left_out: LeftOut, repeats: int) -> None:
        self.start, self.left_out, self.repeats = 0, left_out, repeats

    def __iter__(self) -> Iterator[int]:
        return map(self.place, itertools.count(self.start))

    def place(self, step: int) -> int:
        """The data step (from 0) whose examples a training step (from 0) gets."""
        return self.left_out.place(step) // self.repeats


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
    of the stream to pass over; to be changed before iteration begins. bucket_steps: steps among
    which examples are exchanged, see `SampleOrder`. data_sha256: what identifies the data; a saved
    position is refused in others. repeats: steps in a row that get the same examples.
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
        bucket_steps: int = 128,
        data_sha256: str = "",
        repeats: int = 1,
    ) -> None:
        check_batch_size(batch_size, len(split), accumulate, world_size)
        self.n_examples = len(split)
        self.seed, self.batch_size, self.accumulate = seed, batch_size, accumulate
        self.bucket_steps, self.data_sha256 = bucket_steps, data_sha256
        self._handed_out = 0
        self._left_out = LeftOut() if left_out is None else left_out
        self._numbers = _StepNumbers(self._left_out, repeats)
        self._steps = _Steps(
            split, collate, seed, batch_size, accumulate, rank, world_size, bucket_steps
        )
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

    def batches(self, step: int) -> list[Any]:
        """Return this rank's micro-batches of a step (from 0), wherever the iteration is."""
        return self._steps[self._numbers.place(step)]

    def samples(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return epochs and example numbers (batch_size,) of a step over all ranks, in order."""
        first = self._numbers.place(step) * self.batch_size
        return self._steps.order.samples(first, self.batch_size)

    def sample_ids(self, step: int) -> np.ndarray:
        """Return the example numbers (batch_size,) of a step over all ranks, in order."""
        return self.samples(step)[1]

    def state_dict(self) -> dict[str, Any]:
        """Return the position: micro-batches handed out (prefetched ones do not count)."""
        return {
            "micro_batches": self._handed_out,
            "accumulate": self.accumulate,
            "batch_size": self.batch_size,
            "seed": self.seed,
            **self._identity(),
            "left_out": [list(part) for part in self._left_out.ranges],
        }

    def _identity(self) -> dict[str, Any]:
        """What the order depends on besides seed and batch size."""
        return {
            "data_sha256": self.data_sha256,
            "n_examples": self.n_examples,
            "bucket_steps": self.bucket_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at a saved position; the number of ranks and micro-batches may have changed.

        What the saved run left out is left out besides what this one does. Raises ValueError for
        other data, another seed, batch size or bucket_steps, and for a position inside a
        step when the number of micro-batches has changed.
        """
        if "data_sha256" not in state:
            raise ValueError(
                "the saved position in the data is of an earlier version, which had another order "
                "of samples; start the run anew"
            )
        wanted = {"seed": self.seed, "batch_size": self.batch_size, **self._identity()}
        for key, value in wanted.items():
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

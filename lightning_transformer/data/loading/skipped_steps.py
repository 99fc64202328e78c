"""Training data that a run skips because it led to a loss spike."""

from collections.abc import Iterable, Iterator


class LeftOut:
    """Which steps of the endless stream of data training skips.

    Ranges (first, end) count in the data: step s of a run that leaves nothing out has data step s.
    `place` is a pure function of the ranges, so the order of the samples is one of (seed, step,
    ranges).
    """

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []  # ascending, apart from each other

    def place(self, step: int) -> int:
        """The data step (from 0) that a training step (from 0) uses."""
        for first, end in self.ranges:
            if step < first:
                break
            step += end - first
        return step

    def spans(self, n_steps: int) -> Iterator[tuple[int, int]]:
        """The data steps (first, end) that the first n_steps training steps use."""
        start = 0
        for first, end in self.ranges:
            if (n := min(first - start, n_steps)) > 0:
                yield start, start + n
                n_steps -= n
            start = end
        if n_steps:
            yield start, start + n_steps

    def leave_out(self, step: int, count: int) -> None:
        """From training step `step` (from 0) on pass over the data of `count` steps."""
        assert count > 0
        first = self.place(step)
        # Steps in between that are already skipped do not count: training has not seen them.
        end = self.place(step + count)
        self.merge([(first, end)])

    def merge(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Pass over these ranges of data steps as well."""
        joined: list[tuple[int, int]] = []
        for first, end in sorted([*self.ranges, *((int(a), int(b)) for a, b in ranges)]):
            if joined and first <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((first, end))
        self.ranges = joined

"""How many of the first k samples come from each of several parts, without drawing any."""

import bisect
import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FOREVER = 2**62


class _Fork(NamedTuple):
    """Two subtrees, each a fork or the number of a part; of `both` samples `left` go left."""

    children: "tuple[_Fork | int, _Fork | int]"
    left: int
    both: int


class _Tree:
    """Deals an endless stream out to parts in proportion to their weights.

    A pair of parts with weights a, b gets of its first m samples

        floor(m a / (a + b) + 1/2)  and the rest,

    and the pairs are those of Huffman's tree (1952), so that large weights are near the root. Each
    sample goes to one part, and after any k of them the count of a part differs from k times its
    share by less than 1 for up to three parts, and by less than 2 for any number. Every
    sum(weights) samples it is exact. Integers of any size; nothing is kept but the tree.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self.weights = list(weights)
        heap: list[tuple[int, int, _Fork | int]] = [(w, i, i) for i, w in enumerate(weights)]
        heapq.heapify(heap)
        for number in range(len(weights), 2 * len(weights) - 1):
            (a, _, one), (b, _, other) = heapq.heappop(heap), heapq.heappop(heap)
            heapq.heappush(heap, (a + b, number, _Fork((one, other), a, a + b)))
        self._root = heap[0][2]

    def counts(self, places: np.ndarray) -> np.ndarray:
        """The samples (n_parts, k) of each part among the first `places` (k,) of the stream."""
        found = np.zeros((len(self.weights), len(places)), dtype=np.int64)
        todo: list[tuple[_Fork | int, np.ndarray]] = [(self._root, places.astype(np.int64))]
        while todo:
            node, n = todo.pop()
            if isinstance(node, int):
                found[node] = n
                continue
            large = 2 * int(n.max(initial=0)) * node.left + node.both >= 2**63
            exact = n.astype(object) if large else n
            left = ((2 * exact * node.left + node.both) // (2 * node.both)).astype(np.int64)
            todo += zip(node.children, (left, n - left), strict=True)
        return found

    def length(self, part: int, n: int) -> int:
        """After how many samples of the stream a part has n of them."""
        weight, total = self.weights[part], sum(self.weights)
        most = (n + 2) * total // weight + 1
        return bisect.bisect_left(
            range(most), n, key=lambda k: int(self.counts(np.array([k]))[part, 0])
        )


class _Phase(NamedTuple):
    """From place `start` on, `length` samples are dealt out to some parts, by a tree of them."""

    start: int
    length: int
    parts: list[int]
    tree: _Tree


class Quota:
    """Deals a stream out to parts in proportion to whole-number weights, see `_Tree`.

    A part that has had its most gets no more: from the next sample on, the stream is dealt out to
    the others, in proportion to theirs. When all have had it, at place `end`, it begins again with
    all of them, so that a step that a run leaves out can be made up for.

    weights: of each part, >= 1. most: samples of each part, >= 1; None = without limit.
    """

    def __init__(self, weights: Sequence[int], most: Sequence[int | None] = ()) -> None:
        assert weights
        assert all(type(weight) is int and weight > 0 for weight in weights)
        assert not most or len(most) == len(weights)
        self.weights = list(weights)
        self.ends: list[int | None] = [None] * len(weights)  # places behind the last of each part
        self.end: int | None = None
        self._phases: list[_Phase] = []
        start, left = 0, dict(enumerate(most or self.ends))  # what each part may still get
        assert all(n is None or n > 0 for n in left.values())
        while left:
            parts, tree = list(left), _Tree([weights[part] for part in left])
            lengths = {p: tree.length(i, n) for i, p in enumerate(parts) if (n := left[p])}
            if not lengths:
                break
            ended = min(lengths, key=lengths.__getitem__)
            self._phases.append(_Phase(start, lengths[ended], parts, tree))
            given = tree.counts(np.array([lengths[ended]]))[:, 0].tolist()
            left = {p: n and n - g for (p, n), g in zip(left.items(), given, strict=True)}
            del left[ended]
            start = self.ends[ended] = start + lengths[ended]
        if not left:
            self.end = start
        last = list(left) or list(range(len(weights)))
        self._phases.append(_Phase(start, FOREVER, last, _Tree([weights[p] for p in last])))

    def counts(self, places: np.ndarray) -> np.ndarray:
        """The samples (n_parts, k) of each part among the first `places` (k,) of the stream."""
        found = np.zeros((len(self.weights), len(places)), dtype=np.int64)
        for phase in self._phases:
            within = np.clip(places - phase.start, 0, phase.length)
            found[phase.parts] += phase.tree.counts(within)
        return found

    def dealt(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Parts (count,) of the samples from `first` on, and the number of each within its part."""
        counts = self.counts(np.arange(first, first + count + 1))
        parts = np.argmax(np.diff(counts, axis=1), axis=0)
        return parts, counts[parts, np.arange(count)]

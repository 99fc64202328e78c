"""The loss of each row of a split, and of each document in it."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

IGNORE = -100  # a label that counts nowhere
UNKNOWN = -1  # number of a document that nobody has told


class RowLosses(Metric):
    """The loss of each example of a split, part by part where it holds several documents.

    A row that is cut out of a stream may hold the end of one document and the start of another.
    Rank r of n has seen the examples r, r + n, .., as EvaluationLoader hands them out.
    """

    losses: list[Tensor]
    counts: list[Tensor]
    numbers: list[Tensor]
    parts: list[Tensor]

    def __init__(self, rank: int, world_size: int) -> None:
        super().__init__()
        self._next, self._world_size = rank, world_size
        for name in ("losses", "counts", "numbers", "parts"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(
        self, scores: Tensor, labels: Tensor, n_rows: int, ends: Tensor | None = None
    ) -> None:
        """Add a batch. scores (N, V), labels (N,) long, -100 = no target; n_rows divides N.

        ends: (n_rows, E) place behind the last label of each document of a row; None = not known.
        """
        scores = scores if scores.dtype == torch.float64 else scores.float()
        nll = F.cross_entropy(scores, labels, reduction="none", ignore_index=IGNORE)
        self.add(nll, labels != IGNORE, n_rows, ends)

    def add(self, losses: Tensor, counted: Tensor, n_rows: int, ends: Tensor | None = None) -> None:
        """Add a batch of losses (N,), which are 0 where `counted` (N,) bool is False."""
        self._update_count += 1  # torchmetrics counts `update` alone, and would warn of none
        losses, counted = losses.view(n_rows, -1), counted.view(n_rows, -1)
        end = self._next + n_rows * self._world_size
        number = torch.arange(self._next, end, self._world_size, device=losses.device)
        self._next = end
        if ends is None:
            self._add(losses, counted, number, UNKNOWN)
            return
        places = torch.arange(losses.shape[1], device=losses.device).expand(n_rows, -1).contiguous()
        part = torch.searchsorted(ends, places, right=True)
        for k in range(ends.shape[1]):
            self._add(losses.masked_fill(part != k, 0.0), counted & (part == k), number, k)

    def _add(self, losses: Tensor, counted: Tensor, number: Tensor, part: int) -> None:
        self.losses.append(losses.sum(dim=1).float())
        self.counts.append(counted.sum(dim=1))
        self.numbers.append(number)
        self.parts.append(torch.full_like(number, part))

    def compute(self) -> np.ndarray:
        """(n,) of (loss float32: a sum, count int32: targets, row, part), in order.

        A part is the k-th document of the row, or -1: the row, whose documents are not known.
        Parts without targets are left out.
        """
        losses, counts, numbers, parts = (
            (torch.cat(state) if isinstance(state, list) else state).cpu().numpy()
            for state in (self.losses, self.counts, self.numbers, self.parts)
        )
        # Processes that share the layers of one model have seen the same examples.
        first = np.unique(np.stack([numbers, parts]), axis=1, return_index=True)[1]
        first = first[counts[first] > 0]
        fields = [("loss", "f4"), ("count", "i4"), ("row", "i8"), ("part", "i8")]
        rows = np.empty(len(first), dtype=fields)
        rows["loss"], rows["count"] = losses[first], counts[first]
        rows["row"], rows["part"] = numbers[first], parts[first]
        return rows


def with_documents(rows: np.ndarray, documents: np.ndarray | None) -> np.ndarray:
    """What `RowLosses` gives as (n,) of (loss, count, document int32), -1 = not known.

    documents: (n_rows, 2) numbers of the first and last document in each row of the split.
    """
    found = np.empty(len(rows), dtype=[("loss", "f4"), ("count", "i4"), ("document", "i4")])
    found["loss"], found["count"], found["document"] = rows["loss"], rows["count"], UNKNOWN
    if documents is not None:
        first, last = documents[rows["row"]].T
        known = rows["part"] != UNKNOWN
        assert (first + rows["part"] <= last)[known].all(), "a row has more parts than documents"
        alone = np.where(first == last, first, UNKNOWN)
        found["document"] = np.where(known, first + rows["part"], alone)
    return found

"""What is measured of guessed classes, in every task that has some."""

from collections.abc import Sequence

from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassMatthewsCorrCoef,
)

from lightning_transformer.tasks.metrics.row_losses import IGNORE

GUESSED = ("accuracy", "f1", "f1_weighted", "mcc", "confusion")  # need the likeliest class alone


def guess_metrics(n: int) -> dict[str, Metric]:
    """Fresh metrics of n classes that are updated with guesses and labels (N,), -100 = none.

    accuracy: share that is right, the micro-averaged F1. f1: mean of the F1 of each class that
    occurs; f1_weighted: weighted by how often it does. mcc: correlation of guesses and labels in
    [-1, 1] (Matthews 1975; Gorodkin 2004). confusion: (n, n) counts, a row per true class.
    """
    return {
        "accuracy": MulticlassAccuracy(n, average="micro", ignore_index=IGNORE),
        "f1": MulticlassF1Score(n, average="macro", ignore_index=IGNORE),
        "f1_weighted": MulticlassF1Score(n, average="weighted", ignore_index=IGNORE),
        "mcc": MulticlassMatthewsCorrCoef(n, ignore_index=IGNORE),
        "confusion": MulticlassConfusionMatrix(n, ignore_index=IGNORE),
    }


def by_class(
    confusion: Tensor, labels: Sequence[str]
) -> list[tuple[str, int, float, float, float]]:
    """(label, examples, precision, recall, F1) of each class, from counts (n, n)."""
    counts = confusion.double()
    right, found, there = counts.diagonal(), counts.sum(dim=0), counts.sum(dim=1)
    precision, recall = right / found.clamp(min=1), right / there.clamp(min=1)
    f1 = 2 * right / (found + there).clamp(min=1)
    columns = (x.tolist() for x in (there.long(), precision, recall, f1))
    return list(zip(labels, *columns, strict=True))

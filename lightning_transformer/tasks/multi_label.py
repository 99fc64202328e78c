"""Several labels per text, or none: training batches, metrics, and the labels of texts."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MultilabelStatScores

from lightning_transformer.data.examples import Labelled, MultiLabelled
from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.loss.binary_cross_entropy import BinaryCrossEntropy
from lightning_transformer.nn.types import ModuleFactory
from lightning_transformer.tasks.base import (
    BY_LABEL,
    Batch,
    Collator,
    Sample,
    update,
    value,
)
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.metrics.row_losses import RowLosses
from lightning_transformer.tasks.pooled import LabelRows, PooledTask
from lightning_transformer.tasks.predict import GENERATION, Prediction, PredictOptions


class SeveralLabels:
    """Examples -> Batch of `LabelRows` with labels (B, C) long: 1 = has the label, 0 = has not."""

    def __init__(self, rows: LabelRows, n_labels: int) -> None:
        self.rows, self.n_labels = rows, n_labels

    def __call__(self, examples: Sequence[MultiLabelled], draws: Sequence[int]) -> Batch:
        labels = torch.zeros(len(examples), self.n_labels, dtype=torch.long)
        for row, example in zip(labels, examples, strict=True):
            row[torch.as_tensor(example.classes, dtype=torch.long)] = 1
        batch = self.rows([Labelled(example.ids, 0) for example in examples], draws)
        return batch._replace(labels=labels, n_targets=torch.tensor(labels.numel()))


class MultiLabel(PooledTask):
    """Each label on its own, from pooled features: p(label c | row) = sigmoid(head(pooled)_c).

    `loss` is nats per label of a row: binary cross-entropy, as torch's with reduction="mean". A
    label is guessed where p > 1/2. `accuracy` is the share of right decisions, `exact_match` the
    share of rows all of whose labels are right; `f1_micro` of all decisions together, `f1` the mean
    of the F1 of each label that occurs or is guessed. A test also leaves by_class.csv.
    """

    example = MultiLabelled
    loss: BinaryCrossEntropy

    def __init__(self, *, pooling: ModuleFactory) -> None:
        super().__init__(loss=BinaryCrossEntropy(), pooling=pooling)

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        self.head = Head(d_model, len(self.labels), bias=True)

    def collator(self, split: str) -> Collator:
        rows = super().collator(split)
        assert isinstance(rows, LabelRows)
        return SeveralLabels(rows, len(self.labels))

    def chance(self) -> dict[str, float]:
        return {"loss": math.log(2), "accuracy": 0.5}

    def same_guess(self, labels: Tensor) -> Tensor:
        """Log odds of how often each label is given (Laplace)."""
        each = labels.view(-1, len(self.labels))
        given = each.sum(dim=0) + 1
        return (given / (len(each) + 2 - given)).log()

    def update_baseline(
        self,
        metrics: nn.ModuleDict,
        guess: Tensor,
        batch: Batch,
        split: str,
        ranks: tuple[int, int],
    ) -> None:
        self.update_scored(metrics, guess.expand(batch.labels.shape), batch.labels, batch)

    def metrics(self) -> dict[str, Metric]:
        n = len(self.labels)
        counts = MultilabelStatScores(n, average=None)
        return super().metrics() | {"accuracy": Mean(), "exact_match": Mean(), BY_LABEL: counts}

    def metric_names(self) -> list[str]:
        return [*super().metric_names(), "f1", "f1_micro"]

    def add_rows(self, rows: RowLosses, scores: Tensor, labels: Tensor, batch: Batch) -> None:
        losses = self.loss.each(scores, labels).flatten()
        rows.add(losses, torch.ones_like(losses, dtype=torch.bool), len(labels))

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        guesses = (scores > 0).long()
        right = guesses == labels
        update(metrics, "accuracy", right.sum(), labels.numel())
        update(metrics, "exact_match", right.all(dim=1).sum(), len(labels))
        update(metrics, BY_LABEL, guesses, labels)

    def compute(self, metrics: nn.ModuleDict) -> dict[str, Tensor]:
        counts = value(metrics, BY_LABEL).view(-1, 5).cpu().double()
        right, twice = counts[:, 0], 2 * counts[:, 0] + counts[:, 1] + counts[:, 3]
        occurs = twice > 0
        f1 = 2 * right[occurs] / twice[occurs]
        micro = 2 * right.sum() / twice.sum().clamp(min=1)
        mean = f1.mean() if len(f1) else torch.zeros((), dtype=torch.float64)
        return super().compute(metrics) | {"f1": mean, "f1_micro": micro}

    def _named(self, scores: Tensor) -> tuple[tuple[str, float], ...]:
        """The guessed labels with their probabilities, the likeliest first."""
        chances = scores.cpu().double().sigmoid().tolist()
        found = [(name, p) for name, p in zip(self.labels, chances, strict=True) if p > 0.5]
        return tuple(sorted(found, key=lambda pair: -pair[1]))

    @torch.no_grad()
    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        batch = self.collator("val")(examples, [0] * len(examples)).to(self.head.weight.device)
        scores = self.scores(model.features(batch), batch)[0].cpu()
        return [
            Sample(
                self.vocabulary.decode(example.ids),
                ", ".join(f"{name} ({p:.0%})" for name, p in self._named(row)) or "(none)",
                ", ".join(self.labels[c] for c in example.classes.tolist()) or "(none)",
            )
            for example, row in zip(examples, scores, strict=True)
        ]

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """The labels of each text whose probability is above 1/2, the likeliest first.

        The value is a tuple of (label, probability); it is empty for an empty text.
        """
        options.refuse("a multi_label run names labels", *GENERATION)
        for scores in self.scores_of(model, texts, options):
            found = () if scores is None else self._named(scores)
            line = "\t".join(f"{name}\t{p:.3f}" for name, p in found)
            yield Prediction((line,), value=found)

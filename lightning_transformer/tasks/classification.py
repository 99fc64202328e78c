"""One class per text: training batches, metrics, and labels with probabilities."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassF1Score,
)

from lightning_transformer.data.examples import Labelled
from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.types import ModuleFactory
from lightning_transformer.tasks.base import (
    Batch,
    Collator,
    Sample,
    Task,
    pad,
    pad_mask,
    update,
)
from lightning_transformer.tasks.predict import (
    GENERATION,
    Prediction,
    PredictOptions,
    cut,
    encode,
)


class LabelRows:
    """Labelled examples -> Batch: rows padded on the right, [CLS] in front if pooling wants it."""

    def __init__(self, prefix: Sequence[int], pad_id: int) -> None:
        self.prefix, self.pad_id = list(prefix), pad_id

    def __call__(self, examples: Sequence[Labelled], draws: Sequence[int]) -> Batch:
        rows = [np.concatenate((self.prefix, e.ids)).astype(np.int64) for e in examples]
        labels = torch.tensor([e.label for e in examples])
        n_targets = torch.tensor(len(examples))
        n_tokens = sum(map(len, rows))
        return Batch(pad(rows, self.pad_id), labels, n_targets, n_tokens, padding=pad_mask(rows))


class Classification(Task):
    """One class per row, from pooled features: -log p(class | row).

    `loss` is nats per row; `accuracy` counts rows, `f1` averages over classes. `ece` is the mean
    distance of confidence from accuracy over 15 bins of confidence (Guo et al. 2017).
    """

    causal = False
    example = Labelled

    def __init__(self, *, loss: nn.Module, pooling: ModuleFactory) -> None:
        super().__init__(loss=loss)
        self.pooling = pooling()
        self.n_extra_tokens = int(self.pooling.n_extra_tokens)

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        self.head = Head(d_model, len(self.labels))

    def collator(self, split: str) -> Collator:
        return LabelRows([self.vocabulary.cls_id] * self.n_extra_tokens, self.vocabulary.pad_id)

    def scores(self, features: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.head(self.pooling(features, batch.padding)), batch.labels

    def chance(self) -> dict[str, float]:
        return {"loss": math.log(len(self.labels)), "accuracy": 1 / len(self.labels)}

    def metrics(self) -> dict[str, Metric]:
        n = len(self.labels)
        return super().metrics() | {
            "accuracy": MulticlassAccuracy(n, average="micro"),
            "f1": MulticlassF1Score(n, average="macro"),
            "ece": MulticlassCalibrationError(n, n_bins=15, norm="l1"),
        }

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        guesses = scores.argmax(dim=-1)
        update(metrics, "accuracy", guesses, labels)
        update(metrics, "f1", guesses, labels)
        update(metrics, "ece", scores.float().softmax(dim=-1), labels)

    @torch.no_grad()
    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        batch = self.collator("val")(examples, [0] * len(examples)).to(self.head.weight.device)
        chances = self.scores(model.features(batch), batch)[0].softmax(dim=-1).cpu()
        samples = []
        for example, chance in zip(examples, chances, strict=True):
            best = int(chance.argmax())
            output = f"{self.labels[best]} ({chance[best]:.0%})"
            samples.append(
                Sample(self.vocabulary.decode(example.ids), output, self.labels[example.label])
            )
        return samples

    def encode_input(self, text: str) -> np.ndarray:
        """Ids of a text, after [CLS] if the pooling reads it."""
        prefix = [self.vocabulary.cls_id] * self.n_extra_tokens
        return np.concatenate((prefix, self.vocabulary.encode(text))).astype(np.int64)

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """The most likely label of each text and its probability, in (0, 1]; "" has neither.

        The value is (label, probability), or ("", 0.0) for an empty text.
        """
        options.refuse("a classification run names a label", *GENERATION)
        lines = [text.strip() for text in texts]
        longest = model.max_len - self.n_extra_tokens
        for start in range(0, len(lines), options.batch_size):
            numbers = range(start, min(start + options.batch_size, len(lines)))
            rows = []
            for i in numbers:
                name = f"text {i + 1}"
                ids = encode(self.vocabulary, lines[i], name, options)
                rows += [cut(ids, longest, name, options)] if len(ids) else []
            probabilities = iter(self._probabilities(model, rows))
            for i in numbers:
                if not lines[i]:
                    yield Prediction((), value=("", 0.0))
                    continue
                row = next(probabilities)
                label, p = self.labels[int(row.argmax())], float(row.max())
                yield Prediction((f"{label}\t{p:.3f}",), value=(label, p))

    @torch.no_grad()
    def _probabilities(self, model: Any, rows: Sequence[np.ndarray]) -> Tensor:
        """(B, C) of rows of token ids."""
        if not rows:
            return torch.zeros(0, len(self.labels))
        examples = [Labelled(row, 0) for row in rows]
        batch = self.collator("test")(examples, [0] * len(rows)).to(model.device)
        scores, _ = self.scores(model.features(batch), batch)
        return scores.softmax(dim=-1).cpu()

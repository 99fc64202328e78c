"""One class per text: training batches, metrics, and labels with probabilities."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassCalibrationError

from lightning_transformer.data.examples import Labelled
from lightning_transformer.nn.linear import Head
from lightning_transformer.tasks.base import Sample, log_frequencies, update
from lightning_transformer.tasks.metrics.auroc import Auroc
from lightning_transformer.tasks.metrics.classes import GUESSED, guess_metrics
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.pooled import PooledTask
from lightning_transformer.tasks.predict import GENERATION, Prediction, PredictOptions


class Classification(PooledTask):
    """One class per row, from pooled features: -log p(class | row).

    `loss` is nats per row; `accuracy`, `f1`, `f1_weighted` and `mcc` as in `guess_metrics`. `ece`
    is the mean distance of confidence from accuracy over 15 bins of confidence (Guo et al. 2017);
    `brier` the mean over rows of sum_c (p_c - [c is right])^2, in [0, 2] (Brier 1950); `auroc` the
    mean over classes of the chance that a row of the class has a higher p_c than another row.
    """

    example = Labelled

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        self.head = Head(d_model, len(self.labels))

    def chance(self) -> dict[str, float]:
        return {"loss": math.log(len(self.labels)), "accuracy": 1 / len(self.labels)}

    def same_guess(self, labels: Tensor) -> Tensor:
        """How often each class is the target: its majority is what is guessed."""
        return log_frequencies(labels, len(self.labels))

    def metrics(self) -> dict[str, Metric]:
        n = len(self.labels)
        return (
            super().metrics()
            | guess_metrics(n)
            | {
                "ece": MulticlassCalibrationError(n, n_bins=15, norm="l1"),
                "brier": Mean(),
                "auroc": Auroc(),
            }
        )

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        guesses = scores.argmax(dim=-1)
        for name in GUESSED:
            update(metrics, name, guesses, labels)
        chances = scores.float().softmax(dim=-1)
        update(metrics, "ece", chances, labels)
        right = nn.functional.one_hot(labels, len(self.labels))
        update(metrics, "brier", (chances - right).square().sum(), len(labels))
        update(metrics, "auroc", chances, labels)

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

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """The most likely label of each text and its probability, in (0, 1]; "" has neither.

        The value is (label, probability), or ("", 0.0) for an empty text.
        """
        options.refuse("a classification run names a label", *GENERATION)
        for scores in self.scores_of(model, texts, options):
            if scores is None:
                yield Prediction((), value=("", 0.0))
                continue
            chances = scores.softmax(dim=-1)
            label, p = self.labels[int(chances.argmax())], float(chances.max())
            yield Prediction((f"{label}\t{p:.3f}",), value=(label, p))

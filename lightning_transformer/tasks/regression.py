"""One number per text: training batches, metrics, and the numbers of texts."""

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.regression import MeanAbsoluteError, PearsonCorrCoef, SpearmanCorrCoef

from lightning_transformer.data.examples import Rated
from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.loss.squared_error import SquaredError
from lightning_transformer.nn.types import ModuleFactory
from lightning_transformer.tasks.base import Batch, Sample, update
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.metrics.row_losses import RowLosses
from lightning_transformer.tasks.pooled import PooledTask
from lightning_transformer.tasks.predict import GENERATION, Prediction, PredictOptions

CORRELATIONS = ("pearson", "spearman")


class Regression(PooledTask):
    """One number per row, from pooled features, by least squares: (head(pooled) - label)^2.

    `loss` and `mse` are the mean squared error of a row, `mae` is the mean absolute error, both in
    units of the label; `pearson` and `spearman` are correlations with it, in [-1, 1], 0 where the
    predictions are all alike. Labels are taken as they are: the head starts near 0, so bring those
    of another size to a mean of 0 and a variance of 1 first.
    """

    example = Rated
    loss: SquaredError

    def __init__(self, *, pooling: ModuleFactory) -> None:
        super().__init__(loss=SquaredError(), pooling=pooling)

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        self.head = Head(d_model, 1, bias=True)

    def scores(self, features: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> numbers (B,) and labels (B,)."""
        scores, labels = super().scores(features, batch)
        return scores.squeeze(-1), labels

    def same_guess(self, labels: Tensor) -> Tensor:
        """The mean of the labels."""
        return labels.mean()

    def metrics(self) -> dict[str, Metric]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about keeping one number of each row
            spearman = SpearmanCorrCoef()
        return super().metrics() | {
            "mse": Mean(),
            "mae": MeanAbsoluteError(),
            "pearson": PearsonCorrCoef(),
            "spearman": spearman,
        }

    def add_rows(self, rows: RowLosses, scores: Tensor, labels: Tensor, batch: Batch) -> None:
        losses = self.loss.each(scores, labels)
        counted = torch.ones_like(losses, dtype=torch.bool)
        rows.add(losses, counted, len(labels), batch.document_ends)

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        update(metrics, "mse", nll, len(labels))
        for name in ("mae", *CORRELATIONS):
            update(metrics, name, scores.float(), labels.float())

    def compute(self, metrics: nn.ModuleDict) -> dict[str, Tensor]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about predictions that are all alike
            values = super().compute(metrics)
        # Of numbers that are not finite, ranks would still have a correlation.
        diverged = not values["loss"].isfinite()
        for name in CORRELATIONS:
            values[name] = torch.tensor(math.nan) if diverged else values[name].nan_to_num(0.0)
        return values

    @torch.no_grad()
    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        batch = self.collator("val")(examples, [0] * len(examples)).to(self.head.weight.device)
        numbers = self.scores(model.features(batch), batch)[0].tolist()
        return [
            Sample(self.vocabulary.decode(e.ids), f"{number:.3f}", f"{e.label:.3f}")
            for e, number in zip(examples, numbers, strict=True)
        ]

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """The number of each text, written with 4 significant digits; "" for an empty text."""
        options.refuse("a regression run names a number", *GENERATION)
        for scores in self.scores_of(model, texts, options):
            if scores is None:
                yield Prediction((), value="")
                continue
            yield Prediction((f"{float(scores):.4g}",), value=float(scores))

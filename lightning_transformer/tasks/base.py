"""A task: what is predicted. It makes batches of examples, and loss and metrics of features."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.nn.embedding.base import MakesHead
from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.loss.cross_entropy import LossSums
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.metrics.row_losses import IGNORE as IGNORE
from lightning_transformer.tasks.metrics.row_losses import RowLosses
from lightning_transformer.tasks.predict import Prediction, PredictOptions, split_lines


class Batch(NamedTuple):
    """One micro-batch. Rows are padded on the right.

    input_ids (B, T) long; labels (B, T) or (B,) long, -100 = no target; n_targets and step_targets
    0-d long: targets in this micro-batch, and in all micro-batches of the optimizer step on this
    rank; n_tokens: real tokens read, source included; padding (B, T) bool, True = pad, None = no
    pads; documents (B, T) long; source_* (B, S).
    """

    input_ids: Tensor
    labels: Tensor
    n_targets: Tensor
    n_tokens: int
    step_targets: Tensor | None = None
    padding: Tensor | None = None
    documents: Tensor | None = None
    source_ids: Tensor | None = None
    source_padding: Tensor | None = None

    @classmethod
    def without_labels(cls, ids: Tensor) -> "Batch":
        """Rows (B, T) to predict from, without padding."""
        return cls(ids, torch.full_like(ids, IGNORE), ids.new_zeros(()), ids.numel())

    def to(self, device: torch.device) -> "Batch":
        """The same on a device; copies from pinned memory do not wait."""
        moved: list[Any] = [
            x.to(device, non_blocking=True) if isinstance(x, Tensor) else x for x in self
        ]
        return Batch(*moved)


class Sample(NamedTuple):
    """Something a person can read: what went in, what came out, what was expected ("" if open)."""

    given: str
    output: str
    expected: str = ""


Collator = Callable[[Sequence[Any], Sequence[int]], Batch]


class Task(nn.Module):
    """Contract of a task; what each subclass sets comes first.

    causal: True or False = needs a causal or a bidirectional model; needs_source: a model with a
    source; example: the kind of example that it reads; n_extra_tokens: special tokens that it adds
    to a row of data; n_generated: examples per split whose metrics need generated output;
    head_uses: times that a training step goes through the head.
    """

    causal: bool
    needs_source: bool = False
    example: type
    n_extra_tokens: int = 0
    n_generated: int = 0
    head_uses: int = 1
    vocabulary: Vocabulary
    labels: Sequence[str]

    def __init__(self, *, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.head: Head

    def build(
        self,
        *,
        d_model: int,
        vocabulary: Vocabulary,
        labels: Sequence[str],
        embedding: nn.Embedding,
    ) -> None:
        """Make the layers after the features, once the data is known. Call once."""
        self.vocabulary, self.labels = vocabulary, labels
        self.build_head(d_model, embedding)

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        """Set self.head, and what else comes after the features."""
        raise NotImplementedError

    def hide_prefix(self, n_prefix: int) -> None:
        """Leave out targets among the first n_prefix tokens of a row: the model sees them.

        Raises ValueError where a task does not do so and n_prefix is above 0.
        """
        if n_prefix:
            raise ValueError(
                f"pattern=prefix shows the model targets that task {type(self).__name__} does not "
                "leave out; use task=causal_lm or pattern=full"
            )

    def collator(self, split: str) -> Collator:
        """A small picklable function of (examples, one random integer each) -> Batch."""
        raise NotImplementedError

    def scores(self, features: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> scores (N, V or C) and labels (N,), one row per position or per example."""
        return self.head(features.flatten(0, 1)), batch.labels.flatten()

    def forward(self, features: Tensor, batch: Batch) -> LossSums:
        """(B, T, D) -> sums over the targets of the batch."""
        return self.loss(*self.scores(features, batch))

    def metrics(self) -> dict[str, Metric]:
        """Fresh metrics of one split; `loss` is the mean -log-likelihood in nats per target."""
        return {"loss": Mean()}

    def chance(self) -> dict[str, float]:
        """Metric names to their values for guessing without looking, where that has one.

        A run whose loss ends above it, on what it was trained on too, has diverged.
        """
        return {}

    def update(
        self,
        metrics: nn.ModuleDict,
        features: Tensor,
        batch: Batch,
        rows: RowLosses | None = None,
    ) -> None:
        """Add one evaluated batch to the metrics, and the loss of each row to rows."""
        scores, labels = self.scores(features, batch)
        if rows is not None:
            rows.update(scores, labels, len(batch.labels))
        nll = self.loss(scores, labels).nll
        update(metrics, "loss", nll, batch.n_targets)
        self.update_own(metrics, scores, labels, nll)

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        """Add a batch to the metrics that are the task's own; nll is the sum over the batch."""

    def compute(self, metrics: nn.ModuleDict) -> dict[str, Tensor]:
        """Metric names to values, each exact over the whole split and all ranks."""
        return {name: value(metrics, name) for name in metrics}

    def metric_names(self) -> list[str]:
        """The names that `compute` gives."""
        return list(self.metrics())

    def generate_metrics(self, model: Any, batch: Batch, metrics: nn.ModuleDict) -> None:
        """Add what needs generated output; most tasks have nothing of the kind.

        model.data_ranks is (rank, number) of this process among those that evaluate other rows.
        """

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        """Predictions for some examples, to be read by a person."""
        raise NotImplementedError

    def encode_input(self, text: str) -> np.ndarray:
        """Token ids (T,) of one text as the model reads it."""
        return self.vocabulary.encode(text)

    def read_prompts(self, piped: str | None) -> list[str]:
        """The texts in what was piped in: its lines. Raises ValueError if there are none."""
        return split_lines(piped)

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """Predictions for texts, in their order, made as they are asked for.

        model: the one that this task belongs to, in evaluation mode. Raises ValueError for a text
        that it cannot read, and for options that have no effect.
        """
        raise ValueError(f"task {type(self).__name__} makes no predictions: it defines no predict")


class TokenTask(Task):
    """A task whose scores are those of the vocabulary's tokens.

    tie_embeddings: the output layer shares the table of the embedding. bias: of the output layer.
    softcap, score_scale: of its scores, see `Head`.
    """

    def __init__(
        self,
        *,
        loss: nn.Module,
        tie_embeddings: bool = True,
        bias: bool = False,
        softcap: float | None = None,
        score_scale: float | None = None,
    ) -> None:
        super().__init__(loss=loss)
        self.tie_embeddings, self.bias = tie_embeddings, bias
        self.softcap, self.score_scale = softcap, score_scale

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        if self.tie_embeddings and isinstance(embedding, MakesHead):
            if self.score_scale is not None:
                raise ValueError(
                    f"task.score_scale={self.score_scale} has no effect on the tied head that "
                    f"{type(embedding).__name__} makes; use tie_embeddings=false"
                )
            self.head = embedding.tied_head(bias=self.bias, softcap=self.softcap)
            return
        self.head = Head(
            d_model,
            embedding.num_embeddings,
            bias=self.bias,
            softcap=self.softcap,
            score_scale=self.score_scale,
        )
        if self.tie_embeddings:
            self.head.weight = embedding.weight

    def chance(self) -> dict[str, float]:
        return {"loss": math.log(self.vocabulary.size)}


def update(metrics: nn.ModuleDict, name: str, *values: Any) -> None:
    """metrics[name].update(*values), for type checkers that see a bare module there."""
    metric = metrics[name]
    assert isinstance(metric, Metric)
    metric.update(*values)


def value(metrics: nn.ModuleDict, name: str) -> Tensor:
    """metrics[name].compute(), likewise."""
    metric = metrics[name]
    assert isinstance(metric, Metric)
    return metric.compute()


def pad(rows: Sequence[np.ndarray], fill: int) -> Tensor:
    """Rows of different length -> (B, longest) long, filled on the right."""
    longest = max(len(row) for row in rows)
    out = np.full((len(rows), longest), fill, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return torch.from_numpy(out)


def pad_mask(rows: Sequence[np.ndarray]) -> Tensor | None:
    """(B, longest) bool, True = pad; None if all rows are equally long."""
    lengths = np.array([len(row) for row in rows])
    if (lengths == lengths.max()).all():
        return None
    return torch.from_numpy(np.arange(lengths.max()) >= lengths[:, None])

"""A task: what is predicted. It makes batches of examples, and loss and metrics of features."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.loss.cross_entropy import LossSums
from lightning_transformer.tasks.batch import Batch as Batch
from lightning_transformer.tasks.batch import document_ends as document_ends
from lightning_transformer.tasks.batch import pad as pad
from lightning_transformer.tasks.batch import pad_mask as pad_mask
from lightning_transformer.tasks.batch import target_places as target_places
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.metrics.row_losses import IGNORE as IGNORE
from lightning_transformer.tasks.metrics.row_losses import RowLosses
from lightning_transformer.tasks.predict import Prediction, PredictOptions, split_lines

# Metrics that are no single number; a run writes them into its folder.
CONFUSION = "confusion"
BY_LABEL = "by_label"  # (C, 5): found rightly, found wrongly, left out rightly, wrongly, there
TABLES = (CONFUSION, BY_LABEL, "by_place", "by_length")


class Sample(NamedTuple):
    """Something a person can read: what went in, what came out, what was expected ("" if open).

    reward: how good the output is, "" where nothing says so.
    """

    given: str
    output: str
    expected: str = ""
    reward: str = ""


Collator = Callable[[Sequence[Any], Sequence[int]], Batch]


class Task(nn.Module):
    """Contract of a task; what each subclass sets comes first.

    causal: True or False = needs a causal or a bidirectional model; needs_source: one with or
    without a source; None = takes either. n_target_tokens: what the decoder of a model with a
    source reads, None = up to seq_len. example: the kind of example that it reads, made_from: one
    out of which a run can make it by answers of its own, None = no other; n_extra_tokens:
    special tokens that it adds to a row of data; n_generated: examples of a validation whose
    metrics need generated output, of a test it is all, 0 = none in either; head_uses: times that a
    training step goes through the head. marks: special tokens that it adds to the vocabulary;
    writes_marks: whether generated output holds them. reads_prefix: whether its batches have a
    prefix, and prompts are one. n_updates: optimizer steps that get the same examples.
    """

    causal: bool | None
    needs_source: bool | None = False
    n_target_tokens: int | None = None
    example: type
    made_from: type | None = None
    n_extra_tokens: int = 0
    n_generated: int = 0
    head_uses: int = 1
    marks: Sequence[str] = ()
    writes_marks: bool = False
    reads_prefix: bool = False
    n_updates: int = 1
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
        self.read_vocabulary()
        self.build_head(d_model, embedding)

    def read_vocabulary(self) -> None:
        """Learn what a trained model expects around a row, where the task reads whole rows."""

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        """Set self.head, and what else comes after the features."""
        raise NotImplementedError

    def join_model(self, *, causal: bool, has_source: bool) -> None:
        """Learn which kind of model this is; called before all else.

        Raises ValueError for what the task cannot do with it.
        """

    def hide_prefix(self, n_prefix: int) -> None:
        """Leave out targets among the first n_prefix tokens of a row: the model sees them.

        Raises ValueError where a task does not do so and n_prefix is above 0.
        """
        if n_prefix:
            raise ValueError(
                f"pattern=prefix shows the model targets that task {type(self).__name__} does not "
                "leave out; use task=causal_lm or pattern=full"
            )

    def learn_splits(self, splits: Mapping[str, Any]) -> None:
        """Learn of the splits of the data what batches are to say; called before `collator`."""

    def collator(self, split: str) -> Collator:
        """A small picklable function of (examples, one random integer each) -> Batch."""
        raise NotImplementedError

    def complete(self, model: Any, batch: Batch) -> Batch:
        """A training batch with what only a model can add, before its features are computed.

        model: the one that is trained, in training mode. In no evaluation.
        """
        return batch

    def connect(self, load: Callable[[Path], Any]) -> None:
        """Learn how the folder of a run becomes its model, for tasks that ask another model."""

    def statistics(self, model: Any) -> dict[str, float]:
        """What is logged of training since last asked, besides the loss; waits for the device."""
        return {}

    def tokens_generated(self, model: Any) -> int:
        """Tokens that training has generated so far, over all ranks. Call on all ranks."""
        return 0

    def training_state(self, model: Any) -> dict[str, Any]:
        """What goes on in training besides the weights, as plain values and tensors.

        Of all ranks, to be called on all; the checkpoint keeps it.
        """
        return {}

    def load_training_state(self, model: Any, state: Mapping[str, Any]) -> None:
        """Take on what `training_state` gave; {} where the checkpoint has none."""

    def scores(self, features: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> scores (N, V or C) and labels (N,), one row per position or per example."""
        return self.head(features.flatten(0, 1)), batch.labels.flatten()

    def forward(self, features: Tensor, batch: Batch) -> LossSums:
        """(B, T, D) -> sums over the targets of the batch."""
        return self.loss(*self.scores(features, batch))

    def metrics(self) -> dict[str, Metric]:
        """Fresh metrics of one split; `loss` is the mean loss of a target, mostly in nats."""
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
            self.add_rows(rows, scores, labels, batch)
        self.update_scored(metrics, scores, labels, batch)

    def update_scored(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, batch: Batch
    ) -> None:
        """Add the scores and labels of a batch, as `scores` gives them, to the metrics."""
        nll = self.loss(scores, labels).nll
        update(metrics, "loss", nll, batch.n_targets)
        self.update_own(metrics, scores, labels, nll)

    def add_rows(self, rows: RowLosses, scores: Tensor, labels: Tensor, batch: Batch) -> None:
        """Add the losses of a batch to those of the split so far."""
        rows.update(scores, labels, len(batch.labels), batch.document_ends)

    def same_guess(self, labels: Tensor) -> Tensor | None:
        """Scores of one target, as `scores` has them, that are to be given for each; None = none.

        labels: (n,) targets of the training data, by which the guess is chosen.
        """

    def update_baseline(
        self,
        metrics: nn.ModuleDict,
        guess: Tensor,
        batch: Batch,
        split: str,
        ranks: tuple[int, int],
    ) -> None:
        """Add a batch in which every target gets the same scores, those of `same_guess`."""
        labels = batch.labels.flatten()
        self.update_scored(metrics, guess.expand(len(labels), *guess.shape), labels, batch)

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        """Add a batch to the metrics that are the task's own; nll is the sum over the batch."""

    def compute(self, metrics: nn.ModuleDict) -> dict[str, Tensor]:
        """Metric names to values, each exact over the whole split and all ranks."""
        return {name: value(metrics, name) for name in metrics if name not in TABLES}

    def metric_names(self) -> list[str]:
        """The names that `compute` gives."""
        return [name for name in self.metrics() if name not in TABLES]

    def signatures(self) -> dict[str, str]:
        """Metric names to how exactly they are computed, where that has a name of its own."""
        return {}

    def to_generate(self, split: str) -> float:
        """How many examples of a split have metrics of generated output: all of the test's."""
        return math.inf if split == "test" and self.n_generated else self.n_generated

    def left_to_generate(self, split: str, done: Mean, ranks: tuple[int, int]) -> int:
        """How many further examples of a split this rank generates; done: a metric of each so far.

        ranks: (rank, number) of this process, which has every n-th example; see the loader.
        """
        if math.isinf(limit := self.to_generate(split)):
            return sys.maxsize
        return max(0, len(range(ranks[0], int(limit), ranks[1])) - int(done.count))

    def generate_metrics(
        self, model: Any, batch: Batch, metrics: nn.ModuleDict, split: str = "val"
    ) -> None:
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


def log_frequencies(labels: Tensor, n: int) -> Tensor:
    """log((count + 1) / (all + n)) of each of n classes among labels (N,) (Laplace)."""
    counts = labels.bincount(minlength=n) + 1
    return (counts / counts.sum()).log()


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

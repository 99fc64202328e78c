"""Completing a source by its target in one row of a decoder: the loss is on the target alone."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.examples import Pair
from lightning_transformer.nn import checks
from lightning_transformer.tasks.base import (
    IGNORE,
    Batch,
    Collator,
    Sample,
    pad,
    target_places,
    update,
)
from lightning_transformer.tasks.batch import pad_rests, target_labels
from lightning_transformer.tasks.continuations import continuations, greedy_samples, predictions
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.metrics.shares import Shares
from lightning_transformer.tasks.predict import Prediction, PredictOptions, cut, encode
from lightning_transformer.tasks.responses import update_right
from lightning_transformer.tasks.token_task import TokenTask


class SourceThenTarget:
    """Pairs -> Batch: x_1 .. x_m BOS y_1 .. y_n EOS, whose targets are y_1 .. y_n EOS.

    Tokens of the target that the pair does not score are read and are no targets. Pads are on the
    right, where the causal mask hides them.
    """

    def __init__(self, bos_id: int, eos_id: int, pad_id: int) -> None:
        self.bos_id, self.eos_id, self.pad_id = bos_id, eos_id, pad_id

    def __call__(self, examples: Sequence[Pair], draws: Sequence[int]) -> Batch:
        inputs, labels = [], []
        for example in examples:
            inputs.append(np.concatenate((example.source, [self.bos_id], example.target)))
            seen = np.full(len(example.source), IGNORE)
            labels.append(np.concatenate((seen, target_labels(example, self.eos_id))))
        ids, targets = pad(inputs, self.pad_id), pad(labels, IGNORE)
        return Batch(
            ids,
            targets,
            (targets != IGNORE).sum(),
            sum(map(len, inputs)),
            places=target_places(targets),
            rests=pad_rests(examples),
        )


class Completion(TokenTask):
    """Write the target behind the source: sum of -log p(y_t | x, y_<t), for models with one stack.

    A start token stands between the two. `loss` is nats per target token, the end token included;
    `accuracy` the share of target tokens that come first given the true ones before;
    `exact_match` the share of targets all of whose tokens do, which is that of greedy outputs that
    equal their target; one that is longer than max_len and read in part is missed. A test also
    leaves the accuracy by place in the target and the exact matches by length of the source, in
    by_place.csv and by_length.csv. max_len: tokens of a side, >= 1.
    """

    causal = True
    example = Pair

    def __init__(
        self,
        *,
        loss: nn.Module,
        max_len: int,
        tie_embeddings: bool = True,
        bias: bool = False,
        softcap: float | None = None,
        score_scale: float | None = None,
    ) -> None:
        super().__init__(
            loss=loss,
            tie_embeddings=tie_embeddings,
            bias=bias,
            softcap=softcap,
            score_scale=score_scale,
        )
        checks.at_least("max_len", max_len, 1)
        self.side = max_len
        self.n_extra_tokens = max_len + 1  # the other side and the start token

    def collator(self, split: str) -> Collator:
        vocabulary = self.vocabulary
        return SourceThenTarget(vocabulary.bos_id, vocabulary.eos_id, vocabulary.pad_id)

    def chance(self) -> dict[str, float]:
        return super().chance() | {"accuracy": 1 / self.vocabulary.size}

    def metrics(self) -> dict[str, Metric]:
        return super().metrics() | {
            "accuracy": Mean(),
            "exact_match": Mean(),
            "by_place": Shares(self.side + 1),
            "by_length": Shares(self.side + 1),
        }

    def update_scored(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, batch: Batch
    ) -> None:
        super().update_scored(metrics, scores, labels, batch)
        right, whole = update_right(metrics, scores, batch)
        counted = batch.labels != IGNORE
        starts = (batch.input_ids == self.vocabulary.bos_id).long().argmax(dim=1, keepdim=True)
        places = torch.arange(batch.labels.shape[1], device=starts.device) - starts
        flat = (places.clamp(min=0).flatten(), right.flatten(), counted.flatten())
        update(metrics, "by_place", *flat)
        update(metrics, "by_length", starts[:, 0], whole, counted.any(dim=1))

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        sources = [example.source for example in examples]
        rows = [np.append(ids, self.vocabulary.bos_id).astype(np.int64) for ids in sources]
        return greedy_samples(model, rows, sources, [example.target for example in examples])

    def encode_input(self, text: str) -> np.ndarray:
        """Ids of a source with the start token."""
        return np.append(self.vocabulary.encode(text), self.vocabulary.bos_id)

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """What the model writes behind each source, greedily by default; "" for an empty one."""
        options.refuse("a source gets one completion", "n_samples")
        options.sampling(0.0)  # refused before the first text
        lines = [text.strip() for text in texts]
        for start in range(0, len(lines), options.batch_size):
            numbers = range(start, min(start + options.batch_size, len(lines)))
            rows = {}
            for i in (i for i in numbers if lines[i]):
                name = f"source {i + 1}"
                ids = encode(self.vocabulary, lines[i], name, options)
                ids = cut(ids, self.side, name, options)
                rows[i] = np.append(ids, self.vocabulary.bos_id)
            written = continuations(model, rows, options)
            yield from predictions(self.vocabulary, numbers, written, lines, options)

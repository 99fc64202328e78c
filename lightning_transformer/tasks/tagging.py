from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from lightning_transformer.data.examples import Tagged
from lightning_transformer.nn.linear import Head
from lightning_transformer.tasks.base import (
    IGNORE,
    Batch,
    Collator,
    GenerateTokens,
    Sample,
    Task,
    on_device,
    pad,
    pad_mask,
    update,
)


class TagRows:
    """Tagged examples -> Batch: rows and their tags padded on the right."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, examples: Sequence[Tagged], draws: Sequence[int]) -> Batch:
        rows = [example.ids for example in examples]
        labels = pad([example.tags for example in examples], IGNORE)
        n_targets = (labels != IGNORE).sum()
        n_tokens = sum(map(len, rows))
        return Batch(pad(rows, self.pad_id), labels, n_targets, n_tokens, padding=pad_mask(rows))


class Tagging(Task):
    """One tag per word, read at the word's first token: -log p(tag | row).

    `loss` is nats per word; `accuracy` counts words, `f1` averages over tags.
    """

    causal = False
    example = Tagged

    def __init__(self, *, loss: nn.Module) -> None:
        super().__init__(loss=loss)

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        self.head = Head(d_model, len(self.labels))

    def collator(self, split: str) -> Collator:
        return TagRows(self.vocabulary.pad_id)

    def metrics(self) -> dict[str, Metric]:
        n = len(self.labels)
        return super().metrics() | {
            "accuracy": MulticlassAccuracy(n, average="micro", ignore_index=IGNORE),
            "f1": MulticlassF1Score(n, average="macro", ignore_index=IGNORE),
        }

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        guesses = scores.argmax(dim=-1)
        update(metrics, "accuracy", guesses, labels)
        update(metrics, "f1", guesses, labels)

    @torch.no_grad()
    def demonstrate(
        self, model: Any, examples: Sequence[Any], generate_tokens: GenerateTokens
    ) -> list[Sample]:
        batch = self.collator("val")(examples, [0] * len(examples))
        batch = on_device(batch, self.head.weight.device)
        guesses = self.head(model.features(batch)).argmax(dim=-1).cpu().numpy()
        samples = []
        for example, guess in zip(examples, guesses, strict=True):
            said = self._list(example, guess[: len(example.ids)])
            wanted = self._list(example, example.tags)
            samples.append(Sample(self.vocabulary.decode(example.ids), said, wanted))
        return samples

    def _list(self, example: Tagged, tags: np.ndarray) -> str:
        """The tags of the tagged places, in their order."""
        places = np.flatnonzero(np.asarray(example.tags) != IGNORE)
        return " ".join(self.labels[int(tags[place])] for place in places)

"""One tag per word: training batches, metrics, and the tags of the words of a text."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from lightning_transformer.data.encode import first_tokens
from lightning_transformer.data.examples import Tagged
from lightning_transformer.nn.linear import Head
from lightning_transformer.tasks.base import (
    IGNORE,
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

# Letters, digits and underscores; other signs only where they stand alone, as in tokenised text.
WORD = re.compile(r"\w+|(?<!\S)[^\w\s]+(?!\S)")


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

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        self.head = Head(d_model, len(self.labels))

    def collator(self, split: str) -> Collator:
        return TagRows(self.vocabulary.pad_id)

    def chance(self) -> dict[str, float]:
        return {"loss": math.log(len(self.labels)), "accuracy": 1 / len(self.labels)}

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
    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        batch = self.collator("val")(examples, [0] * len(examples)).to(self.head.weight.device)
        guesses = self.head(model.features(batch)).argmax(dim=-1).cpu().numpy()
        samples = []
        for example, guess in zip(examples, guesses, strict=True):
            output = self._list(example, guess[: len(example.ids)])
            expected = self._list(example, example.tags)
            samples.append(Sample(self.vocabulary.decode(example.ids), output, expected))
        return samples

    def _list(self, example: Tagged, tags: np.ndarray) -> str:
        """The tags of the tagged places, in their order."""
        places = np.flatnonzero(np.asarray(example.tags) != IGNORE)
        return " ".join(self.labels[int(tags[place])] for place in places)

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """The words of each text with their tags, as far as the model can read the text.

        The value is a list of (word, tag).
        """
        options.refuse("a tagging run names tags", *GENERATION)
        options.refuse("texts are tagged one by one", "batch_size")
        for number, text in enumerate(texts, start=1):
            pairs = self._tag_words(model, text.strip(), f"text {number}", options)
            yield Prediction((f"{word}\t{tag}\n" for word, tag in pairs), value=pairs)

    @torch.no_grad()
    def _tag_words(
        self, model: Any, text: str, name: str, options: PredictOptions
    ) -> list[tuple[str, str]]:
        ids = encode(self.vocabulary, text, name, options)
        _, starts = self.vocabulary.encode_with_starts(text)
        ids = cut(ids, model.max_len, name, options)
        tags: list[int] = []
        if len(ids):
            row = torch.from_numpy(ids)[None].to(model.device)
            tags = self.head(model.features(Batch.without_labels(row)))[0].argmax(dim=-1).tolist()
        words = list(WORD.finditer(text))
        tokens = first_tokens(starts, [word.start() for word in words])
        pairs = zip(words, tokens, strict=True)
        return [(word[0], self.labels[tags[at]]) for word, at in pairs if at < len(tags)]

"""One tag per word: training batches, metrics, and the tags of the words of a text."""

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.encode import first_tokens
from lightning_transformer.data.examples import Tagged
from lightning_transformer.data.windows import window_bounds
from lightning_transformer.nn.linear import Head
from lightning_transformer.tasks.base import (
    IGNORE,
    Batch,
    Collator,
    Sample,
    Task,
    log_frequencies,
    pad,
    pad_mask,
    update,
)
from lightning_transformer.tasks.metrics.classes import GUESSED, guess_metrics
from lightning_transformer.tasks.metrics.spans import SpanScores, marks_spans
from lightning_transformer.tasks.predict import (
    GENERATION,
    Prediction,
    PredictOptions,
    encode,
)

# Letters, digits and underscores; other signs only where they stand alone, as in tokenised text.
WORD = re.compile(r"\w+|(?<!\S)[^\w\s]+(?!\S)")

SPANS = "spans"
SPAN_NAMES = ("span_f1", "span_precision", "span_recall", "span_f1_strict")


class TagRows:
    """Tagged examples -> Batch: rows and their tags padded on the right."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, examples: Sequence[Tagged], draws: Sequence[int]) -> Batch:
        rows = [example.ids for example in examples]
        labels = pad([example.tags for example in examples], IGNORE)
        n_targets = (labels != IGNORE).sum()
        n_tokens = sum(map(len, rows))
        origins = None
        if any(example.sentence >= 0 for example in examples):
            origins = torch.tensor([[e.sentence, e.start] for e in examples])
        return Batch(
            pad(rows, self.pad_id),
            labels,
            n_targets,
            n_tokens,
            padding=pad_mask(rows),
            origins=origins,
        )


class Tagging(Task):
    """One tag per word, read at the word's first token: -log p(tag | row).

    `loss` is nats per word; `accuracy`, `f1`, `f1_weighted`, `mcc` of words as in `guess_metrics`.
    Where all tags are O, B-X, I-X, E-X or S-X, `span_f1`, `span_precision` and `span_recall` are of
    whole spans, read as conlleval does, and `span_f1_strict` of those that keep to the scheme of
    the targets, see `SpanScores`. With a decoder a tag depends on what is to the left of it alone,
    and of its word on the first token.
    """

    causal = None
    example = Tagged

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        self.head = Head(d_model, len(self.labels))

    def hide_prefix(self, n_prefix: int) -> None:
        """Nothing: the tags are no tokens of the row."""

    def collator(self, split: str) -> Collator:
        return TagRows(self.vocabulary.pad_id)

    def chance(self) -> dict[str, float]:
        return {"loss": math.log(len(self.labels)), "accuracy": 1 / len(self.labels)}

    def same_guess(self, labels: Tensor) -> Tensor:
        """How often each class is the target: its majority is what is guessed."""
        return log_frequencies(labels, len(self.labels))

    def metrics(self) -> dict[str, Metric]:
        spans = {SPANS: SpanScores(self.labels)} if marks_spans(self.labels) else {}
        return super().metrics() | guess_metrics(len(self.labels)) | spans

    def metric_names(self) -> list[str]:
        names = [name for name in super().metric_names() if name != SPANS]
        return [*names, *SPAN_NAMES] if marks_spans(self.labels) else names

    def compute(self, metrics: nn.ModuleDict) -> dict[str, Tensor]:
        found = super().compute(metrics)
        if SPANS in found:
            found |= zip(SPAN_NAMES, found.pop(SPANS), strict=True)
        return found

    def signatures(self) -> dict[str, str]:
        if not marks_spans(self.labels):
            return {}
        lenient = dict.fromkeys(SPAN_NAMES[:3], "spans as conlleval, micro (seqeval default)")
        return lenient | {"span_f1_strict": "spans in the targets' scheme, micro (seqeval strict)"}

    def update_scored(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, batch: Batch
    ) -> None:
        super().update_scored(metrics, scores, labels, batch)
        if SPANS in metrics:
            guesses = scores.argmax(dim=-1).view_as(batch.labels)
            update(metrics, SPANS, guesses, batch.labels, batch.origins)

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        guesses = scores.argmax(dim=-1)
        for name in GUESSED:
            update(metrics, name, guesses, labels)

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
        """The words of each text with their tags. The value is a list of (word, tag).

        A text that is longer than what the model reads is tagged in windows, as in the test.
        """
        self._refuse(options)
        for number, text in enumerate(texts, start=1):
            words = [(found.start(), found[0]) for found in WORD.finditer(text.strip())]
            starts = [start for start, _ in words]
            tags = self._tags(model, text.strip(), starts, f"text {number}", options)
            pairs = [(word, tag) for (_, word), tag in zip(words, tags, strict=True)]
            yield Prediction((f"{word}\t{tag}\n" for word, tag in pairs), value=pairs)

    def predict_words(
        self, model: Any, sentences: Sequence[Sequence[str]], options: PredictOptions
    ) -> Iterator[list[str]]:
        """The tag of each word of each sentence; words are joined by spaces, as in data=conll."""
        self._refuse(options)
        for number, words in enumerate(sentences, start=1):
            starts = itertools.accumulate([0, *(len(word) + 1 for word in words[:-1])])
            text = " ".join(words)
            yield self._tags(model, text, list(starts), f"sentence {number}", options)

    def _refuse(self, options: PredictOptions) -> None:
        options.refuse("a tagging run names tags", *GENERATION)
        options.refuse("texts are tagged one by one", "batch_size")

    def _tags(
        self, model: Any, text: str, starts: Sequence[int], name: str, options: PredictOptions
    ) -> list[str]:
        """The tags of the words of a text that start at these characters."""
        if not starts or not text:
            return []
        encode(self.vocabulary, text, name, options)  # for its remark
        ids, tokens = self.vocabulary.encode_with_starts(text)
        tags = self._tag_tokens(model, ids)
        return [self.labels[tags[at]] for at in first_tokens(tokens, starts)]

    @torch.no_grad()
    def _tag_tokens(self, model: Any, ids: np.ndarray) -> np.ndarray:
        """The tag number of each token (n,), from the window in which it has most context."""
        found = np.empty(len(ids), dtype=np.int64)
        for start, end, first, last in window_bounds(len(ids), model.max_len):
            row = torch.from_numpy(ids[start:end].astype(np.int64))[None].to(model.device)
            scores = self.head(model.features(Batch.without_labels(row)))[0]
            found[first:last] = scores.argmax(dim=-1)[first - start : last - start].cpu().numpy()
        return found

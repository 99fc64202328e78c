"""Finding replaced tokens: training batches, metrics and the marking of texts."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.examples import Tokens
from lightning_transformer.nn import checks
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
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.predict import (
    GENERATION,
    Prediction,
    PredictOptions,
    cut,
    encode,
)


class ReplaceTokens:
    """Tokens -> Batch: some tokens become random ones; 1 = replaced, 0 = as it was.

    The choice follows from the example's own random integer. Special tokens are no targets.
    """

    def __init__(self, replace_rate: float, pad_id: int, n_text: int) -> None:
        self.replace_rate, self.pad_id, self.n_text = replace_rate, pad_id, n_text

    def __call__(self, examples: Sequence[Tokens], draws: Sequence[int]) -> Batch:
        # The last token of a row is the first of the next one: left out, so none counts twice.
        rows = [np.asarray(e.ids[: max(1, len(e.ids) - 1)], dtype=np.int64) for e in examples]
        shown, labels = zip(
            *(self._replace(row, draw) for row, draw in zip(rows, draws, strict=True)), strict=True
        )
        documents = None
        if examples[0].documents is not None:
            parts = [np.asarray(e.documents)[: len(r)] for e, r in zip(examples, rows, strict=True)]
            documents = pad(parts, -1)
        targets = pad(labels, IGNORE)
        return Batch(
            pad(shown, self.pad_id),
            targets,
            (targets != IGNORE).sum(),
            sum(map(len, rows)),
            padding=pad_mask(rows),
            documents=documents,
        )

    def _replace(self, row: np.ndarray, draw: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(draw)
        chosen = (random.random(len(row)) < self.replace_rate) & (row < self.n_text)
        shown = np.where(chosen, random.integers(0, self.n_text, len(row)), row)
        return shown, np.where(row < self.n_text, (shown != row).astype(np.int64), IGNORE)


class Replaced(Task):
    """Tell replaced tokens from the others (Clark et al. 2020): -log p(replaced_t | x).

    The replacements are drawn evenly from the vocabulary instead of by a generator network.
    `loss` is nats per token, `accuracy` the share of tokens that are told right.
    """

    causal = False
    example = Tokens

    def __init__(self, *, loss: nn.Module, replace_rate: float = 0.15) -> None:
        super().__init__(loss=loss)
        checks.fraction("replace_rate", replace_rate, 0.15)
        checks.positive("replace_rate", replace_rate, 0.15)
        self.replace_rate = replace_rate

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        self.head = Head(d_model, 2)

    def collator(self, split: str) -> Collator:
        return ReplaceTokens(self.replace_rate, self.vocabulary.pad_id, self.vocabulary.n_text)

    def metrics(self) -> dict[str, Metric]:
        return super().metrics() | {"accuracy": Mean()}

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        right = (scores.argmax(dim=-1) == labels).sum()
        update(metrics, "accuracy", right, (labels != IGNORE).sum())

    @torch.no_grad()
    def mark(self, model: Any, ids: np.ndarray) -> np.ndarray:
        """(T,) ids -> the same with the mask token at each place that seems replaced."""
        row = torch.from_numpy(np.asarray(ids, dtype=np.int64))[None].to(self.head.weight.device)
        batch = Batch(row, torch.full_like(row, IGNORE), row.new_zeros(()), row.numel())
        replaced = self.head(model.features(batch))[0].argmax(dim=-1).bool().cpu().numpy()
        return np.where(replaced, self.vocabulary.mask_id, ids)

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        samples = []
        for number, example in enumerate(examples):
            batch = self.collator("val")([example], [number])
            shown, row = batch.input_ids[0].numpy(), example.ids[: batch.input_ids.shape[1]]
            wanted = np.where(batch.labels[0].numpy() == 1, self.vocabulary.mask_id, row)
            given = (shown, self.mark(model, shown), wanted)
            samples.append(Sample(*map(self.vocabulary.decode, given)))
        return samples

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """Each text with [MASK] for every token that seems replaced; "" gives ""."""
        options.refuse("a replaced run marks the tokens of a text", *GENERATION)
        options.refuse("texts are marked one by one", "batch_size")
        for number, text in enumerate(texts, start=1):
            name = f"text {number}"
            ids = cut(encode(self.vocabulary, text, name, options), model.max_len, name, options)
            marked = self.vocabulary.decode(self.mark(model, ids)) if len(ids) else ""
            yield Prediction((marked,))

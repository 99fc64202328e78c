"""Restoring hidden tokens: training batches, metrics and filling [MASK] in texts."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.examples import Tokens
from lightning_transformer.nn import checks
from lightning_transformer.nn.types import NormFactory
from lightning_transformer.tasks.base import (
    IGNORE,
    Batch,
    Collator,
    Sample,
    TokenTask,
    pad,
    pad_mask,
    update,
)
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.predict import (
    GENERATION,
    MASK,
    Prediction,
    PredictOptions,
    cut,
    encode_masked,
)


class MaskTokens:
    """Tokens -> Batch: some tokens are hidden and become the targets.

    Each text token is chosen with probability mask_rate; of those chosen 80 % become [MASK], 10 % a
    random text token, 10 % stay. The choice follows from the example's own random integer: another
    one each epoch in training, always the same in evaluation. Special tokens are never chosen.
    """

    def __init__(self, mask_rate: float, mask_id: int, pad_id: int, n_text: int) -> None:
        self.mask_rate, self.mask_id, self.pad_id, self.n_text = mask_rate, mask_id, pad_id, n_text

    def __call__(self, examples: Sequence[Tokens], draws: Sequence[int]) -> Batch:
        # The last token of a row is the first of the next one: left out, so none counts twice.
        rows = [np.asarray(e.ids[: max(1, len(e.ids) - 1)], dtype=np.int64) for e in examples]
        hidden, labels = zip(
            *(self._mask(row, draw) for row, draw in zip(rows, draws, strict=True)), strict=True
        )
        documents = None
        if examples[0].documents is not None:
            documents = pad(
                [e.documents[: len(r)] for e, r in zip(examples, rows, strict=True)],  # type: ignore[index]
                -1,
            )
        label_ids = pad(labels, IGNORE)
        return Batch(
            pad(hidden, self.pad_id),
            label_ids,
            (label_ids != IGNORE).sum(),
            sum(map(len, rows)),
            padding=pad_mask(rows),
            documents=documents,
        )

    def _mask(self, row: np.ndarray, draw: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(draw)
        chosen = (random.random(len(row)) < self.mask_rate) & (row < self.n_text)
        kind, other = random.random(len(row)), random.integers(0, self.n_text, len(row))
        hidden = np.where(chosen & (kind < 0.8), self.mask_id, row)
        hidden = np.where(chosen & (kind >= 0.8) & (kind < 0.9), other, hidden)
        return hidden, np.where(chosen, row, IGNORE)


class Transform(nn.Module):
    """norm(gelu(linear(x))): a layer between the features and the output (Devlin et al. 2019)."""

    def __init__(self, d_model: int, *, norm: NormFactory) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(d_model, d_model), norm(d_model)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(F.gelu(self.linear(x)))
        return y


class MaskedLM(TokenTask):
    """Restore hidden tokens from both sides (Devlin et al. 2019): -log p(x_t | x with holes).

    `loss` is nats per hidden token, `accuracy` the share of hidden tokens that come first.
    transform: one more layer before the output, as in BERT.
    """

    causal = False
    example = Tokens

    def __init__(
        self,
        *,
        loss: nn.Module,
        mask_rate: float = 0.15,
        tie_embeddings: bool = True,
        bias: bool = False,
        softcap: float | None = None,
        score_scale: float | None = None,
        transform: bool = False,
        norm: NormFactory = nn.LayerNorm,
    ) -> None:
        super().__init__(
            loss=loss,
            tie_embeddings=tie_embeddings,
            bias=bias,
            softcap=softcap,
            score_scale=score_scale,
        )
        checks.fraction("mask_rate", mask_rate, 0.15)
        checks.positive("mask_rate", mask_rate, 0.15)
        self.mask_rate, self.has_transform, self.norm = mask_rate, transform, norm

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        transform = Transform(d_model, norm=self.norm) if self.has_transform else nn.Identity()
        self.transform = transform
        super().build_head(d_model, embedding)

    def collator(self, split: str) -> Collator:
        vocabulary = self.vocabulary
        return MaskTokens(self.mask_rate, vocabulary.mask_id, vocabulary.pad_id, vocabulary.n_text)

    def chance(self) -> dict[str, float]:
        return super().chance() | {"accuracy": 1 / self.vocabulary.size}

    def metrics(self) -> dict[str, Metric]:
        return super().metrics() | {"accuracy": Mean()}

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        right = (scores.argmax(dim=-1) == labels).sum()
        update(metrics, "accuracy", right, (labels != IGNORE).sum())

    def scores(self, features: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return super().scores(self.transform(features), batch)

    @torch.no_grad()
    def fill(self, model: Any, ids: Tensor) -> Tensor:
        """(B, T) ids with [MASK] among them -> ids with every [MASK] replaced by the best guess."""
        features = model.features(Batch.without_labels(ids))
        scores = self.head(self.transform(features))[..., : self.vocabulary.n_text]
        return torch.where(ids == self.vocabulary.mask_id, scores.argmax(dim=-1), ids)

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        device = self.head.weight.device
        samples = []
        for number, example in enumerate(examples):
            # Rows have one token more than a model is trained on.
            row = np.asarray(example.ids[: model.max_len], dtype=np.int64)
            hidden = row.copy()
            hidden[np.random.default_rng(number).random(len(row)) < self.mask_rate] = (
                self.vocabulary.mask_id
            )
            filled = self.fill(model, torch.from_numpy(hidden)[None].to(device))[0].cpu().numpy()
            samples.append(Sample(*map(self.vocabulary.decode, (hidden, filled, row))))
        return samples

    def encode_input(self, text: str) -> np.ndarray:
        """Ids of a text in which each [MASK] is the mask token."""
        return encode_masked(self.vocabulary, text, "text", PredictOptions())

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """Each text with every [MASK] replaced by its most likely token; "" gives "".

        Raises ValueError for a text without [MASK], or with none in what the model can read.
        """
        options.refuse("a masked_lm run fills each [MASK] with its likeliest token", *GENERATION)
        options.refuse("gaps are filled text by text", "batch_size")
        lines = [text.strip() for text in texts]
        for number, line in enumerate(lines, start=1):
            if line and MASK not in line:
                raise ValueError(
                    f"prompt {number} has no {MASK}, so there is nothing to fill; write e.g. "
                    f'"The {MASK} statement"'
                )
        for number, line in enumerate(lines, start=1):
            filled = self._fill_text(model, line, f"prompt {number}", options) if line else ""
            yield Prediction((filled,))

    def _fill_text(self, model: Any, text: str, name: str, options: PredictOptions) -> str:
        ids = encode_masked(self.vocabulary, text, name, options)
        ids = cut(ids, model.max_len, name, options)
        if self.vocabulary.mask_id not in ids:
            raise ValueError(
                f"{name} has no {MASK} among the {model.max_len} tokens that the model reads; "
                "shorten what stands before it"
            )
        filled = self.fill(model, torch.from_numpy(ids)[None].to(model.device))[0]
        return self.vocabulary.decode(filled.cpu().numpy())

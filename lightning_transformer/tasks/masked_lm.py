"""Restoring hidden tokens: training batches, metrics and filling [MASK] in texts."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.tokenizers.base import N_SPECIAL, Vocabulary
from lightning_transformer.data.tokenizers.word_borders import WordBorders
from lightning_transformer.nn import checks
from lightning_transformer.nn.types import NormFactory
from lightning_transformer.tasks.base import (
    IGNORE,
    Batch,
    Collator,
    Sample,
    document_ends,
    pad,
    pad_mask,
    target_places,
    update,
)
from lightning_transformer.tasks.masking.base import Masking
from lightning_transformer.tasks.masking.token import TokenMasking
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.predict import (
    GENERATION,
    MASK,
    Prediction,
    PredictOptions,
    cut,
    encode_masked,
)
from lightning_transformer.tasks.token_task import TokenTask

TOKENS = TokenMasking()


class MaskTokens:
    """Tokens -> Batch: some tokens are hidden and become the targets.

    Text tokens are chosen, by `masking`, with probability mask_rate; of those chosen 80 % become
    [MASK], 10 % a random text token, 10 % stay. The choice follows from the example's own random
    integer: another one each epoch in training, always the same in evaluation. Special tokens are
    never chosen, nor put in the place of others, those of a tokenizer's own file ([PAD], [CLS])
    included.

    text_ids: those of text, by default all below n_text. borders: of words, if masking reads them.
    before, after: ids around each row.
    """

    def __init__(
        self,
        mask_rate: float,
        mask_id: int,
        pad_id: int,
        n_text: int,
        text_ids: np.ndarray | None = None,
        masking: Masking = TOKENS,
        borders: WordBorders | None = None,
        before: Sequence[int] = (),
        after: Sequence[int] = (),
    ) -> None:
        self.before, self.after = before, after
        self.mask_rate, self.mask_id, self.pad_id = mask_rate, mask_id, pad_id
        self.masking, self.borders = masking, borders
        self.text_ids = np.arange(n_text) if text_ids is None else text_ids
        self.is_text = np.zeros(n_text + N_SPECIAL, dtype=bool)
        self.is_text[self.text_ids] = True

    def __call__(self, examples: Sequence[Tokens], draws: Sequence[int]) -> Batch:
        # The last token of a row is the first of the next one: left out, so none counts twice.
        rows = [np.asarray(e.ids[: max(1, len(e.ids) - 1)], dtype=np.int64) for e in examples]
        hidden, labels = zip(
            *(self._mask(row, draw) for row, draw in zip(rows, draws, strict=True)), strict=True
        )
        documents = None
        if examples[0].documents is not None:
            numbers = [e.documents[: len(r)] for e, r in zip(examples, rows, strict=True)]  # type: ignore[index]
            # What stands around a row belongs to the documents at its ends.
            around = (len(self.before), len(self.after))
            documents = pad([np.pad(row, around, mode="edge") for row in numbers], -1)
        unlabelled = ([IGNORE] * len(self.before), [IGNORE] * len(self.after))
        label_ids = pad([_between(row, *unlabelled) for row in labels], IGNORE)
        inputs = [_between(row, self.before, self.after) for row in hidden]
        ends = document_ends(examples, label_ids.shape[1] - len(self.before))
        return Batch(
            pad(inputs, self.pad_id),
            label_ids,
            (label_ids != IGNORE).sum(),
            sum(map(len, inputs)),
            padding=pad_mask(inputs),
            documents=documents,
            document_ends=None if ends is None else ends + len(self.before),
            places=target_places(label_ids),
        )

    def _mask(self, row: np.ndarray, draw: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(draw)
        groups = self.groups(row, random)
        chosen, kind = groups >= 0, random.random(len(row))[groups]
        other = self.text_ids[random.integers(0, len(self.text_ids), len(row))]
        hidden = np.where(chosen & (kind < 0.8), self.mask_id, row)
        hidden = np.where(chosen & (kind >= 0.8) & (kind < 0.9), other, hidden)
        return hidden, np.where(chosen, row, IGNORE)

    def groups(self, row: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Which tokens (n,) of a row become targets, as `Masking.choose` says it."""
        words = None if self.borders is None else self.borders.words(row)
        return self.masking.choose(self.is_text[row], words, self.mask_rate, random)


def _between(row: np.ndarray, before: Sequence[int], after: Sequence[int]) -> np.ndarray:
    return np.concatenate((before, row, after)).astype(np.int64) if before or after else row


def text_ids(vocabulary: Vocabulary) -> np.ndarray:
    """The ids (n,) that stand for text: not those of special tokens, a file's own included."""
    return np.flatnonzero(vocabulary.id_bytes[: vocabulary.n_text])


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
    masking: which tokens those are. transform: one more layer before the output, as in BERT.
    """

    causal = False
    example = Tokens

    def __init__(
        self,
        *,
        loss: nn.Module,
        masking: Masking = TOKENS,
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
        self.masking, self.mask_rate = masking, mask_rate
        self.has_transform, self.norm = transform, norm

    def read_vocabulary(self) -> None:
        self.n_extra_tokens = len(self.vocabulary.before) + len(self.vocabulary.after)

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        transform = Transform(d_model, norm=self.norm) if self.has_transform else nn.Identity()
        self.transform = transform
        super().build_head(d_model, embedding)

    def collator(self, split: str) -> Collator:
        return self._masks()

    def _masks(self) -> MaskTokens:
        words = self.vocabulary
        return MaskTokens(
            self.mask_rate,
            words.mask_id,
            words.pad_id,
            words.n_text,
            text_ids(words),
            self.masking,
            WordBorders(words) if self.masking.reads_words else None,
            words.before,
            words.after,
        )

    def chance(self) -> dict[str, float]:
        return super().chance() | {"accuracy": 1 / self.vocabulary.size}

    def metrics(self) -> dict[str, Metric]:
        return super().metrics() | {"accuracy": Mean()}

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        right = (scores.argmax(dim=-1) == labels).sum()
        update(metrics, "accuracy", right, (labels != IGNORE).sum())

    def before_head(self, features: Tensor) -> Tensor:
        transformed: Tensor = self.transform(features)
        return transformed

    @torch.no_grad()
    def fill(self, model: Any, ids: Tensor) -> Tensor:
        """(B, T) ids with [MASK] among them -> ids with every [MASK] replaced by the best guess."""
        words, n = self.vocabulary, ids.shape[1]
        sides = [ids.new_tensor(side).expand(len(ids), -1) for side in (words.before, words.after)]
        whole = torch.cat((sides[0], ids, sides[1]), dim=1)
        features = model.features(Batch.without_labels(whole))[:, len(words.before) :][:, :n]
        found = torch.from_numpy(text_ids(self.vocabulary)).to(ids.device)
        best = found[self.head(self.transform(features))[..., found].argmax(dim=-1)]
        return torch.where(ids == self.vocabulary.mask_id, best, ids)

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        device, masks = self.head.weight.device, self._masks()
        samples = []
        for number, example in enumerate(examples):
            # Rows have one token more than a model is trained on.
            row = np.asarray(example.ids[: model.max_len - self.n_extra_tokens], dtype=np.int64)
            hidden = row.copy()
            hidden[masks.groups(row, np.random.default_rng(number)) >= 0] = masks.mask_id
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
        longest = model.max_len - self.n_extra_tokens
        ids = cut(ids, longest, name, options)
        if self.vocabulary.mask_id not in ids:
            raise ValueError(
                f"{name} has no {MASK} among the {longest} tokens that the model reads; "
                "shorten what stands before it"
            )
        filled = self.fill(model, torch.from_numpy(ids)[None].to(model.device))[0]
        return self.vocabulary.decode(filled.cpu().numpy())

"""What tasks with one target per row share: their batches, pooling, and scores of texts."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_transformer.data.examples import Labelled, Rated
from lightning_transformer.nn.layer_info import option_name
from lightning_transformer.nn.pooling.last import LastPooling
from lightning_transformer.nn.types import ModuleFactory
from lightning_transformer.tasks.base import Batch, Collator, Task, pad, pad_mask
from lightning_transformer.tasks.predict import PredictOptions, cut, encode


class LabelRows:
    """Labelled examples -> Batch: rows padded on the right, between prefix and suffix.

    These are [CLS] in front if pooling wants it, or what a trained model expects. start_id: for a
    model with a source, which is the row; its decoder reads this token alone.
    """

    def __init__(
        self,
        prefix: Sequence[int],
        pad_id: int,
        start_id: int | None = None,
        suffix: Sequence[int] = (),
    ) -> None:
        self.prefix, self.pad_id, self.start_id = list(prefix), pad_id, start_id
        self.suffix = list(suffix)

    def __call__(self, examples: Sequence[Labelled | Rated], draws: Sequence[int]) -> Batch:
        rows = [
            np.concatenate((self.prefix, e.ids, self.suffix)).astype(np.int64) for e in examples
        ]
        labels = torch.tensor([e.label for e in examples])
        n_targets = torch.tensor(len(examples))
        n_tokens = sum(map(len, rows))
        ids, padding = pad(rows, self.pad_id), pad_mask(rows)
        if self.start_id is None:
            return Batch(ids, labels, n_targets, n_tokens, padding=padding)
        return Batch(
            torch.full((len(rows), 1), self.start_id),
            labels,
            n_targets,
            n_tokens + len(rows),
            source_ids=ids,
            source_padding=padding,
        )


class PooledTask(Task):
    """One target per row, from pooled features; for each kind of model.

    An encoder or a decoder reads the row. A model with a source reads it there, and its decoder the
    start token alone, whose state is pooled, as one token is generated (Raffel et al. 2019, T5;
    BART, Lewis et al. 2019, gives the decoder the row once more).

    Raises ValueError for pooling=cls in a causal model, whose first token sees nothing but itself,
    and for a pooling that has one state to choose from.
    """

    causal = None
    needs_source = None

    def __init__(self, *, loss: nn.Module, pooling: ModuleFactory) -> None:
        super().__init__(loss=loss)
        self.pooling = pooling()
        self.n_extra_tokens = int(self.pooling.n_extra_tokens)
        self.reads_source = False

    def join_model(self, *, causal: bool, has_source: bool) -> None:
        self.reads_source = has_source
        option = option_name(self.pooling)
        if has_source:
            self.n_target_tokens = 1
            if not isinstance(self.pooling, LastPooling):
                raise ValueError(
                    f"pooling={option} has one state to pool, as the decoder reads the start token "
                    "alone and the encoder the row; use pooling=last"
                )
        elif causal and getattr(self.pooling, "reads_first", False):
            raise ValueError(
                f"pooling={option} reads the first token, which sees none of the others in a "
                "causal model; use pooling=last or pooling=mean"
            )

    def read_vocabulary(self) -> None:
        words = self.vocabulary
        self.before, self.after = words.before, words.after
        if words.before or words.after:
            self.n_extra_tokens = len(words.before) + len(words.after)
        else:
            self.before = (words.cls_id,) * self.n_extra_tokens

    def hide_prefix(self, n_prefix: int) -> None:
        """Nothing: the target is no token of the row."""

    def collator(self, split: str) -> Collator:
        words = self.vocabulary
        start_id = words.bos_id if self.reads_source else None
        return LabelRows(self.before, words.pad_id, start_id, self.after)

    def scores(self, features: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.head(self.pooling(features, batch.padding)), batch.labels

    def encode_input(self, text: str) -> np.ndarray:
        """Ids of a text, with what stands around it."""
        ids = self.vocabulary.encode(text)
        return np.concatenate((self.before, ids, self.after)).astype(np.int64)

    def scores_of(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Tensor | None]:
        """Scores of each text, one row of what `scores` gives; None for an empty text."""
        lines = [text.strip() for text in texts]
        longest = model.max_len - self.n_extra_tokens
        for start in range(0, len(lines), options.batch_size):
            numbers = range(start, min(start + options.batch_size, len(lines)))
            rows = []
            for i in numbers:
                name = f"text {i + 1}"
                ids = encode(self.vocabulary, lines[i], name, options)
                rows += [cut(ids, longest, name, options)] if len(ids) else []
            scores = iter(self._scores_of_rows(model, rows))
            yield from (next(scores) if lines[i] else None for i in numbers)

    @torch.no_grad()
    def _scores_of_rows(self, model: Any, rows: Sequence[np.ndarray]) -> Sequence[Tensor]:
        if not rows:
            return []
        examples = [self.example(row, 0) for row in rows]
        batch = self.collator("test")(examples, [0] * len(rows)).to(model.device)
        return list(self.scores(model.features(batch), batch)[0].cpu())

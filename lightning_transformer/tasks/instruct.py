"""Continuing a prompt by a response: what task=causal_lm learns, on the response alone."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.examples import Pair
from lightning_transformer.nn import checks
from lightning_transformer.tasks.base import (
    IGNORE,
    Batch,
    Collator,
    Sample,
)
from lightning_transformer.tasks.batch import pad_rests, target_labels
from lightning_transformer.tasks.continuations import greedy_samples, responses, with_start
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.predict import Prediction, PredictOptions
from lightning_transformer.tasks.responses import join_responses, update_right
from lightning_transformer.tasks.token_task import TokenTask


class PromptThenResponse:
    """Pairs -> Batch: x_1 .. x_m y_1 .. y_n, whose targets are y_1 .. y_n EOS.

    before: ids in front, as a trained model may expect. Pads are on the right, where the causal
    mask hides them.
    """

    def __init__(self, eos_id: int, pad_id: int, before: Sequence[int] = ()) -> None:
        self.eos_id, self.pad_id, self.before = eos_id, pad_id, before

    def __call__(self, examples: Sequence[Pair], draws: Sequence[int]) -> Batch:
        sources = [example.source for example in examples]
        labels = [target_labels(example, self.eos_id) for example in examples]
        targets = [example.target for example in examples]
        rows = join_responses(sources, labels, targets, self.pad_id, self.before)
        return Batch(
            rows.input_ids,
            rows.labels,
            (rows.labels != IGNORE).sum(),
            rows.n_tokens,
            places=rows.places,
            rests=pad_rests(examples),
        )


class Instruct(TokenTask):
    """Write the response behind the prompt: sum of -log p(y_t | x, y_<t), y ending in EOS.

    Nothing stands between the two: what parts them is in their texts. Both are tokenised apart.
    `loss` is nats per token of a response, its end included; `perplexity` exp(loss); `accuracy` the
    share of these tokens that come first given the true ones before; `exact_match` the share of
    responses all of whose tokens do, which is that of greedy outputs that equal their response; one
    that is longer than max_len and read in part is missed. max_len: tokens of a side, >= 1.
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
        self.n_extra_tokens = max_len  # the other side

    def read_vocabulary(self) -> None:
        self.n_extra_tokens = self.side + len(self.vocabulary.before)

    def collator(self, split: str) -> Collator:
        words = self.vocabulary
        return PromptThenResponse(words.eos_id, words.pad_id, words.before)

    def chance(self) -> dict[str, float]:
        n = self.vocabulary.size
        return super().chance() | {"perplexity": float(n), "accuracy": 1 / n}

    def metrics(self) -> dict[str, Metric]:
        return super().metrics() | {"accuracy": Mean(), "exact_match": Mean()}

    def update_scored(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, batch: Batch
    ) -> None:
        super().update_scored(metrics, scores, labels, batch)
        update_right(metrics, scores, batch)

    def compute(self, metrics: nn.ModuleDict) -> dict[str, Tensor]:
        found = super().compute(metrics)
        return found | {"perplexity": found["loss"].exp()}

    def metric_names(self) -> list[str]:
        return [*super().metric_names(), "perplexity"]

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        sources = [example.source for example in examples]
        rows = [with_start(self.vocabulary, ids) for ids in sources]
        return greedy_samples(model, rows, sources, [example.target for example in examples])

    def encode_input(self, text: str) -> np.ndarray:
        """Ids of a prompt, with what a trained model expects before it."""
        return with_start(self.vocabulary, self.vocabulary.encode(text))

    def read_prompts(self, piped: str | None) -> list[str]:
        """All that was piped in as one prompt."""
        return [(piped or "").removesuffix("\n")]

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """The response to each prompt, greedily by default; "" for an empty one."""
        yield from responses(model, texts, options, self.side)

"""Predicting the next token: training batches, metrics, and continuing a text."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.examples import Tokens
from lightning_transformer.decoding.decode import Sampler, generate_tokens, stream_tokens
from lightning_transformer.decoding.sampler import make_sampler, row_seed, sample_tokens
from lightning_transformer.decoding.text_stream import TextStream
from lightning_transformer.nn.document_positions import document_positions
from lightning_transformer.tasks.base import (
    IGNORE,
    Batch,
    Collator,
    Sample,
    TokenTask,
    pad,
    update,
    value,
)
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.predict import (
    SEED,
    TEMPERATURE,
    Prediction,
    PredictOptions,
    encode,
)


class NextToken:
    """Tokens -> Batch: input row[:-1], target row[1:]; no target across a document's end.

    Nor are the first n_prefix tokens of a row, or of each of its documents, targets.
    """

    def __init__(self, pad_id: int, n_prefix: int = 0) -> None:
        self.pad_id, self.n_prefix = pad_id, n_prefix

    def __call__(self, examples: Sequence[Tokens], draws: Sequence[int]) -> Batch:
        rows = [example.ids for example in examples]
        if len({len(row) for row in rows}) == 1:
            ids = torch.from_numpy(np.stack(rows).astype(np.int64))
            labels = ids[:, 1:]
        else:  # short last row: pads come after what they could disturb, so no padding mask
            ids = pad(rows, self.pad_id)
            labels = pad(rows, IGNORE)[:, 1:]
        documents = numbers = None
        if examples[0].documents is not None:
            numbers = pad([example.documents for example in examples], -1)  # type: ignore[misc]
            labels = labels.masked_fill(numbers[:, 1:] != numbers[:, :-1], IGNORE)
            documents = numbers[:, :-1]
        if self.n_prefix:
            places = torch.arange(ids.shape[1])
            place = places if numbers is None else document_positions(places, numbers)
            labels = labels.masked_fill(place[..., 1:] < self.n_prefix, IGNORE)
        n_targets = (labels != IGNORE).sum()
        n_tokens = sum(map(len, rows)) - len(rows)
        return Batch(ids[:, :-1], labels, n_targets, n_tokens, documents=documents)


class CausalLM(TokenTask):
    """Predict the next token from those before it: sum of -log p(x_t | x_<t).

    The end-of-text token after each document is a target like any other. Besides `loss` (nats per
    token) it reports perplexity = exp(loss) and bits_per_byte, which does not depend on the
    tokenizer: total nats / ln 2 / bytes of text in the targets.

    With pattern=prefix the first tokens of a row are no targets, for the model sees them: they
    count in none of these, so that the numbers are those of other tokens than with pattern=full.
    """

    causal = True
    example = Tokens
    id_bytes: Tensor
    n_prefix: int = 0

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        super().build_head(d_model, embedding)
        sizes = torch.from_numpy(self.vocabulary.id_bytes)
        self.register_buffer("id_bytes", sizes, persistent=False)

    def collator(self, split: str) -> Collator:
        return NextToken(self.vocabulary.pad_id, self.n_prefix)

    def hide_prefix(self, n_prefix: int) -> None:
        self.n_prefix = n_prefix

    def chance(self) -> dict[str, float]:
        return super().chance() | {"perplexity": float(self.vocabulary.size)}

    def metrics(self) -> dict[str, Metric]:
        return super().metrics() | {"bits_per_byte": Mean()}

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        # Ignored labels count as id 0 and then as nothing: no selection, so no wait for the device.
        sizes = self.id_bytes[labels.clamp(min=0)] * (labels != IGNORE)
        update(metrics, "bits_per_byte", nll / math.log(2), sizes.sum())

    def compute(self, metrics: nn.ModuleDict) -> dict[str, Tensor]:
        loss, bits = value(metrics, "loss"), value(metrics, "bits_per_byte")
        return {"loss": loss, "perplexity": loss.exp(), "bits_per_byte": bits}

    def metric_names(self) -> list[str]:
        return ["loss", "perplexity", "bits_per_byte"]

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        rows = [e.ids for e in examples if len(e.ids) > self.n_prefix]
        prompts = [np.asarray(ids[: max(1, self.n_prefix, len(ids) // 2)]) for ids in rows]
        # The likeliest token alone makes a small model say one phrase for ever.
        outputs = sample_tokens(model, prompts, max_new_tokens=200, temperature=0.7)
        return [
            Sample(self.vocabulary.decode(prompt), self.vocabulary.decode(output))
            for prompt, output in zip(prompts, outputs, strict=True)
        ]

    def read_prompts(self, piped: str | None) -> list[str]:
        """All that was piped in as one prompt; nothing is an empty prompt."""
        return [(piped or "").removesuffix("\n")]

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """Continue each prompt n_samples times; an empty prompt starts a document."""
        sampling = options.sampling(TEMPERATURE)
        if sampling.temperature == 0 and options.n_samples > 1:
            raise ValueError(
                f"n_samples={options.n_samples} greedy samples would all be the same; "
                "leave n_samples out, or set a temperature, e.g. 0.8"
            )
        rows = [
            self._prompt_ids(model, text, f"prompt {i + 1}", options)
            for i, text in enumerate(texts)
        ]
        jobs = [(i, sample) for i in range(len(texts)) for sample in range(options.n_samples)]
        seed = SEED if options.seed is None else options.seed
        size = 1 if options.streams else options.batch_size
        for start in range(0, len(jobs), size):
            batch = jobs[start : start + size]
            ids = [rows[i] for i, _ in batch]
            sampler = make_sampler(sampling, [row_seed(seed, *job) for job in batch])
            new_tokens = _new_tokens(model, ids, sampler, options)
            for (i, sample), tokens in zip(batch, new_tokens, strict=True):
                text = TextStream(self.vocabulary, rows[i])
                title = _title((i, sample), len(texts), options.n_samples)
                yield Prediction(map(text.push, tokens), text.end, prompt=texts[i], title=title)

    def _prompt_ids(self, model: Any, text: str, name: str, options: PredictOptions) -> np.ndarray:
        ids = encode(self.vocabulary, text, name, options)
        if len(ids) > model.max_len:
            options.remark(
                f"{name}: {len(ids)} tokens; the model remembers {model.max_len} and goes on from "
                f"the last {max(1, model.max_len // 2)}"
            )
        return ids if len(ids) else np.array([self.vocabulary.eos_id])


def _new_tokens(
    model: Any, ids: Sequence[np.ndarray], sampler: Sampler, options: PredictOptions
) -> list[Iterable[list[int]]]:
    """New token ids of each prompt: all at once, or one by one as they are drawn."""
    n = options.max_new_tokens
    if not options.streams:
        return [[row] for row in generate_tokens(model, ids, max_new_tokens=n, sampler=sampler)]
    assert len(ids) == 1, "one text at a time is streamed"
    columns = stream_tokens(model, ids, max_new_tokens=n, sampler=sampler)
    return [(column.tolist() for column in columns)]


def _title(job: tuple[int, int], n_texts: int, n_samples: int) -> str:
    """Which prompt and which sample, as far as there are several."""
    parts = []
    for kind, number, total in (("prompt", job[0], n_texts), ("sample", job[1], n_samples)):
        parts += [f"{kind} {number + 1} of {total}"] if total > 1 else []
    return ", ".join(parts)

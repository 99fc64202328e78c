"""Predicting the next token: training batches, metrics, and continuing a text."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.examples import Tokens
from lightning_transformer.decoding.sampler import sample_tokens
from lightning_transformer.decoding.sampling import Sampling
from lightning_transformer.decoding.stop_strings import before_stop, pieces_before_stop
from lightning_transformer.decoding.text_stream import TextStream
from lightning_transformer.nn.document_positions import document_positions
from lightning_transformer.tasks.base import (
    IGNORE,
    Batch,
    Collator,
    Sample,
    document_ends,
    pad,
    target_places,
    update,
    value,
)
from lightning_transformer.tasks.continuations import continuations, scored_prediction, streamed
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.predict import (
    TEMPERATURE,
    Prediction,
    PredictOptions,
    encode,
)
from lightning_transformer.tasks.token_task import TokenTask

SAMPLE_LENGTH = 200  # tokens of the sample at the end of a run and after each validation


class NextToken:
    """Tokens -> Batch: input row[:-1], target row[1:].

    The first n_prefix tokens of a row, or of each of its documents, are seen and so no targets.
    unknown_bytes: see `Batch`.
    """

    def __init__(self, pad_id: int, n_prefix: int = 0, unknown_bytes: float | None = None) -> None:
        self.pad_id, self.n_prefix, self.unknown_bytes = pad_id, n_prefix, unknown_bytes

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
            documents = numbers[:, :-1]
        if self.n_prefix:
            seen = torch.arange(1, ids.shape[1]) < self.n_prefix
            if numbers is not None:
                place = document_positions(torch.arange(ids.shape[1]), numbers)[:, 1:]
                # The end of a document is no input of it, so it is not seen.
                seen = (place < self.n_prefix) & (numbers[:, 1:] == numbers[:, :-1])
            labels = labels.masked_fill(seen, IGNORE)
        n_targets = (labels != IGNORE).sum()
        n_tokens = sum(map(len, rows)) - len(rows)
        return Batch(
            ids[:, :-1],
            labels,
            n_targets,
            n_tokens,
            documents=documents,
            document_ends=document_ends(examples, labels.shape[1]),
            unknown_bytes=self.unknown_bytes,
            places=target_places(labels),
        )


class CausalLM(TokenTask):
    """Predict the next token from those before it: sum of -log p(x_t | x_<t).

    The end-of-text token after each document is a target like any other. Besides `loss` (nats per
    token) it reports perplexity = exp(loss) and bits_per_byte, which does not depend on the
    tokenizer: total nats / ln 2 / bytes of text in the targets. An unknown token counts as many
    bytes as those of its split stand for on average; NaN where that is not known.

    With pattern=prefix the first tokens of a row are no targets, for the model sees them: they
    count in none of these, so that the numbers are those of other tokens than with pattern=full.
    """

    causal = True
    example = Tokens
    id_bytes: Tensor
    n_prefix: int = 0
    unknown_bytes: float | None = None  # of the split that is evaluated

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        super().build_head(d_model, embedding)
        sizes = torch.from_numpy(self.vocabulary.id_bytes)
        sizes = F.pad(sizes, (0, self.vocabulary.size - len(sizes)))  # marks are no text
        self.register_buffer("id_bytes", sizes, persistent=False)
        self.bytes_by_split: dict[str, float | None] = {}

    def learn_splits(self, splits: Mapping[str, Any]) -> None:
        self.bytes_by_split = {k: getattr(v, "unknown_bytes", None) for k, v in splits.items()}

    def collator(self, split: str) -> Collator:
        unknown_bytes = self.bytes_by_split.get(split)
        return NextToken(self.vocabulary.pad_id, self.n_prefix, unknown_bytes)

    def hide_prefix(self, n_prefix: int) -> None:
        self.n_prefix = n_prefix

    def chance(self) -> dict[str, float]:
        return super().chance() | {"perplexity": float(self.vocabulary.size)}

    def metrics(self) -> dict[str, Metric]:
        # Per target: bytes of text that the vocabulary knows, and unknown tokens.
        return super().metrics() | {"known_bytes": Mean(), "unknown": Mean()}

    def update_scored(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, batch: Batch
    ) -> None:
        super().update_scored(metrics, scores, labels, batch)
        self.unknown_bytes = batch.unknown_bytes

    def update_own(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, nll: Tensor
    ) -> None:
        # Ignored labels count as id 0 and then as nothing: no selection, so no wait for the device.
        sizes = self.id_bytes[labels.clamp(min=0)] * (labels != IGNORE)
        n_targets = (labels != IGNORE).sum()
        update(metrics, "known_bytes", sizes.sum(), n_targets)
        update(metrics, "unknown", (labels == self.vocabulary.unk_id).sum(), n_targets)

    def compute(self, metrics: nn.ModuleDict) -> dict[str, Tensor]:
        loss, unknown = value(metrics, "loss"), value(metrics, "unknown")
        n_bytes = value(metrics, "known_bytes")
        if unknown > 0:
            n_bytes = n_bytes + unknown * (self.unknown_bytes or math.nan)
        bits = loss / math.log(2) / n_bytes
        return {"loss": loss, "perplexity": loss.exp(), "bits_per_byte": bits}

    def metric_names(self) -> list[str]:
        return ["loss", "perplexity", "bits_per_byte"]

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        halves = [first_half(e, max(1, self.n_prefix)) for e in examples]
        prompts = [ids for ids in halves if len(ids) >= max(1, self.n_prefix)]
        # The likeliest token alone makes a small model say one phrase for ever.
        outputs = sample_tokens(model, prompts, max_new_tokens=SAMPLE_LENGTH, temperature=0.7)
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
        sampling_of(options)  # refused before the model reads anything
        rows = [
            self._prompt_ids(model, text, f"prompt {i + 1}", options)
            for i, text in enumerate(texts)
        ]
        streams = options.streams and options.beams is None and not options.scores
        n = options.n_samples if options.beams is None else options.beams.n_best
        jobs = [(i, sample) for i in range(len(texts)) for sample in range(options.n_samples)]
        size = 1 if options.streams else options.batch_size
        for start in range(0, len(jobs), size):
            batch = {job: rows[job[0]] for job in jobs[start : start + size]}
            if streams:
                for (i, sample), row in batch.items():
                    title = _title((i, sample), len(texts), n, options)
                    yield self._streamed(model, (i, sample), row, options, texts[i], title)
                continue
            written = continuations(model, batch, options, TEMPERATURE)
            for (i, sample), row in batch.items():
                for rank, found in enumerate(written[i, sample]):
                    stream = TextStream(self.vocabulary, row)
                    text = before_stop(stream.push(found.ids) + stream.end(), options.stop)
                    if options.scores:
                        yield scored_prediction(self.vocabulary, found, text, texts[i])
                        continue
                    title = _title((i, sample + rank), len(texts), n, options)
                    yield Prediction((text,), prompt=texts[i], title=title)

    def _streamed(
        self,
        model: Any,
        job: tuple[int, int],
        row: np.ndarray,
        options: PredictOptions,
        prompt: str,
        title: str,
    ) -> Prediction:
        """One text, each piece of it as soon as it is certain."""
        text = TextStream(self.vocabulary, row)
        pieces = map(text.push, streamed(model, job, row, options, TEMPERATURE))
        if not options.stop:
            return Prediction(pieces, text.end, prompt=prompt, title=title)
        whole = chain(pieces, (end() for end in (text.end,)))  # called when the pieces are over
        return Prediction(pieces_before_stop(whole, options.stop), prompt=prompt, title=title)

    def _prompt_ids(self, model: Any, text: str, name: str, options: PredictOptions) -> np.ndarray:
        ids = encode(self.vocabulary, text, name, options)
        if len(ids) > model.max_len:
            options.remark(
                f"{name}: {len(ids)} tokens; the model remembers {model.max_len} and goes on from "
                f"the last {max(1, model.max_len // 2)}"
            )
        return ids if len(ids) else np.array([self.vocabulary.eos_id])


def first_half(example: Tokens, least: int) -> np.ndarray:
    """The first half of a row, at least so many tokens; of packed documents the last one in it."""
    ids = np.asarray(example.ids[: max(least, len(example.ids) // 2)])
    if example.documents is None:
        return ids
    numbers = example.documents[: len(ids)]
    return ids[numbers == numbers[-1]]


def sampling_of(options: PredictOptions) -> Sampling:
    """How to draw; ValueError for several samples that would all be the same."""
    sampling = options.sampling(TEMPERATURE)
    if sampling.temperature == 0 and options.n_samples > 1:
        raise ValueError(
            f"n_samples={options.n_samples} greedy samples would all be the same; "
            "leave n_samples out, or set a temperature, e.g. 0.8"
        )
    return sampling


def kind_of_several(options: PredictOptions) -> str:
    """What the texts of one prompt are called."""
    return "sample" if options.beams is None else "text"


def _title(job: tuple[int, int], n_texts: int, n: int, options: PredictOptions) -> str:
    """Which prompt and which of its n texts, as far as there are several."""
    parts = []
    kinds = (("prompt", job[0], n_texts), (kind_of_several(options), job[1], n))
    for kind, number, total in kinds:
        parts += [f"{kind} {number + 1} of {total}"] if total > 1 else []
    return ", ".join(parts)

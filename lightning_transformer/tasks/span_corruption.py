"""Writing the spans that are missing from a text: batches, metrics, and filling [MASK] in texts."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.examples import Tokens
from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.nn import checks
from lightning_transformer.tasks.base import (
    IGNORE,
    Batch,
    Collator,
    Sample,
    pad,
    pad_mask,
    target_places,
    update,
)
from lightning_transformer.tasks.continuations import answer_limits, continuations, predictions
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.predict import MASK, Prediction, PredictOptions, cut, encode_masked
from lightning_transformer.tasks.token_task import TokenTask


def span_counts(n: int, mask_rate: float, mean_span_length: float) -> tuple[int, int]:
    """How many of n tokens are hidden, and in how many spans; none of fewer than two tokens."""
    if n < 2:
        return 0, 0
    n_hidden = min(max(round(n * mask_rate), 1), n - 1)
    n_spans = min(max(round(n_hidden / mean_span_length), 1), n - n_hidden)
    return n_hidden, n_spans


def hidden_spans(
    n: int, mask_rate: float, mean_span_length: float, random: np.random.Generator
) -> np.ndarray:
    """Which of n tokens are hidden (n,) bool, drawn as T5 does.

    The tokens that are hidden, and those that are not, are each cut into as many parts at places
    drawn evenly; these alternate, beginning with one that is seen.
    """
    n_hidden, n_spans = span_counts(n, mask_rate, mean_span_length)
    if not n_spans:
        return np.zeros(n, dtype=bool)
    parts = np.stack([_parts(n - n_hidden, n_spans, random), _parts(n_hidden, n_spans, random)])
    return np.repeat(np.tile([False, True], n_spans), parts.T.flatten())


def _parts(n: int, n_parts: int, random: np.random.Generator) -> np.ndarray:
    """Lengths (n_parts,) of at least 1 with the sum n, each such list equally likely."""
    cuts = np.sort(random.choice(n - 1, n_parts - 1, replace=False)) + 1
    return np.diff(cuts, prepend=0, append=n)


def corrupt(
    ids: np.ndarray, hidden: np.ndarray, marks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Source and target of ids (n,): span k becomes mark k there; here it follows on mark k.

    If the text goes on behind the last span, one more mark ends the target, as in the paper.
    """
    begins = hidden & ~np.append(False, hidden[:-1])
    n_spans = int(begins.sum())
    source = np.where(begins, marks[np.cumsum(begins) - 1], ids)[~hidden | begins]
    target = np.insert(ids[hidden], np.flatnonzero(begins[hidden]), marks[:n_spans])
    ends_open = len(hidden) > 0 and not hidden[-1]
    return source, np.append(target, marks[n_spans]) if ends_open else target


def fill(source: np.ndarray, target: np.ndarray, marks: np.ndarray) -> tuple[np.ndarray, int]:
    """The text of a source with each mark replaced by what follows on it in a target.

    Also returns how many marks have nothing there: they stay.
    """
    place = np.flatnonzero(np.isin(target, marks))
    ends = np.append(place[1:], len(target))
    found = {int(target[a]): target[a + 1 : b] for a, b in zip(place, ends, strict=True)}
    parts, n_open = [], 0
    for token in source.tolist():
        if token in found:
            parts.append(found[token])
        else:
            n_open += int(token in marks)
            parts.append(np.array([token]))
    return np.concatenate(parts) if parts else source, n_open


class CorruptSpans:
    """Tokens -> Batch: the encoder reads a text with holes; the decoder writes what is missing.

    The spans follow from the example's own random integer: others each epoch in training, always
    the same in evaluation. A span that would hold an end of document is not hidden.
    """

    def __init__(
        self,
        mask_rate: float,
        mean_span_length: float,
        *,
        marks: np.ndarray,
        n_text: int,
        special: tuple[int, int, int],
    ) -> None:
        self.mask_rate, self.mean_span_length = mask_rate, mean_span_length
        self.marks, self.n_text = marks, n_text
        self.bos_id, self.eos_id, self.pad_id = special

    def __call__(self, examples: Sequence[Tokens], draws: Sequence[int]) -> Batch:
        sources, targets = [], []
        for example, draw in zip(examples, draws, strict=True):
            source, target = self.sides(example, draw)
            sources.append(np.append(source, self.eos_id))
            targets.append(np.append(target, self.eos_id))
        labels = pad(targets, IGNORE)
        return Batch(
            pad([np.insert(target[:-1], 0, self.bos_id) for target in targets], self.pad_id),
            labels,
            (labels != IGNORE).sum(),
            sum(map(len, sources)) + sum(map(len, targets)),
            source_ids=pad(sources, self.pad_id),
            source_padding=pad_mask(sources),
            places=target_places(labels),
        )

    def sides(self, example: Tokens, draw: int) -> tuple[np.ndarray, np.ndarray]:
        """Source and target of an example, without special tokens around them."""
        # The last token of a row is the first of the next one: left out, so none counts twice.
        row = np.asarray(example.ids[: max(1, len(example.ids) - 1)], dtype=np.int64)
        random = np.random.default_rng(draw)
        hidden = hidden_spans(len(row), self.mask_rate, self.mean_span_length, random)
        number = np.cumsum(np.diff(hidden, prepend=False))
        # In a trained model's table the end of a document is a row among those of text.
        ends = ((row >= self.n_text) | (row == self.eos_id)) & hidden
        hidden &= ~np.isin(number, number[ends])
        return corrupt(row, hidden, self.marks)


class SpanCorruption(TokenTask):
    """Write the spans that are missing from a text (Raffel et al. 2020, T5).

        text    Thank you for inviting me to your party last week
        source  Thank you <extra_id_0> me to your party <extra_id_1> week
        target  <extra_id_0> for inviting <extra_id_1> last <extra_id_2>

    For encoder-decoders. `loss` is nats per token of the target, its marks and its end included;
    `accuracy` the share of these that come first given the true ones before. mask_rate of the
    tokens of a row are hidden, in spans of mean_span_length on average. n_marks: at least one more
    than a row has spans. With a trained model its own tokens of these names are the marks.
    max_len: tokens of a row, at least 2.
    """

    causal = True
    needs_source = True
    example = Tokens
    n_extra_tokens = 1  # EOS of the source, BOS of the target
    writes_marks = True

    def __init__(
        self,
        *,
        loss: nn.Module,
        max_len: int,
        mask_rate: float = 0.15,
        mean_span_length: float = 3.0,
        n_marks: int = 100,
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
        checks.at_least("max_len", max_len, 2, 128)
        checks.fraction("mask_rate", mask_rate, 0.15)
        checks.positive("mask_rate", mask_rate, 0.15)
        if not mean_span_length >= 1:
            raise ValueError(f"mean_span_length={mean_span_length} must be >= 1, for example 3.0")
        n_hidden, n_spans = span_counts(max_len, mask_rate, mean_span_length)
        if n_marks <= n_spans:
            raise ValueError(
                f"n_marks={n_marks} must be above the {n_spans} spans that a row of "
                f"data.seq_len={max_len} tokens has, for example {n_spans + 1}"
            )
        self.mask_rate, self.mean_span_length = mask_rate, mean_span_length
        self.marks = [f"<extra_id_{i}>" for i in range(n_marks)]
        self.n_target_tokens = n_hidden + n_spans + 1

    def collator(self, split: str) -> Collator:
        return self._corruption()

    def _corruption(self) -> CorruptSpans:
        words = self.vocabulary
        return CorruptSpans(
            self.mask_rate,
            self.mean_span_length,
            marks=words.mark_ids,
            n_text=words.n_text,
            special=(words.bos_id, words.eos_id, words.pad_id),
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

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        corruption, decode = self._corruption(), self.vocabulary.decode
        sides = [corruption.sides(example, number) for number, example in enumerate(examples)]
        sources = [np.append(source, self.vocabulary.eos_id) for source, _ in sides]
        outputs = generate_tokens(model, sources, max_new_tokens=answer_limits(sources))
        return [
            Sample(decode(source), decode(output), decode(target))
            for (source, target), output in zip(sides, outputs, strict=True)
        ]

    def encode_input(self, text: str) -> np.ndarray:
        """Ids of a text in which each [MASK] is a mark, with the end token."""
        ids = self._marked(text, "text", PredictOptions())
        return np.append(ids, self.vocabulary.eos_id)

    def _marked(self, text: str, name: str, options: PredictOptions) -> np.ndarray:
        n_gaps = text.count(MASK)
        if n_gaps > len(self.marks):
            raise ValueError(
                f"{name} has {n_gaps} {MASK}, and the model tells {len(self.marks)} apart; "
                "give fewer in one text"
            )
        marks = self.vocabulary.mark_ids[:n_gaps].tolist()
        return encode_masked(self.vocabulary, text, name, options, marks)

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """Each text with every [MASK] replaced by what the model writes there; "" gives "".

        Raises ValueError for a text without [MASK].
        """
        options.refuse("a text gets one completion", "n_samples")
        options.refuse("what fills one [MASK] is followed by what fills the next", "stop")
        options.sampling(0.0)  # refused before the first text
        lines = [text.strip() for text in texts]
        for number, line in enumerate(lines, start=1):
            if line and MASK not in line:
                raise ValueError(
                    f"prompt {number} has no {MASK}, so there is nothing to fill; write e.g. "
                    f'"The {MASK} statement"'
                )
        for start in range(0, len(lines), options.batch_size):
            numbers = range(start, min(start + options.batch_size, len(lines)))
            rows = {}
            for i in (i for i in numbers if lines[i]):
                ids = self._marked(lines[i], f"prompt {i + 1}", options)
                rows[i] = cut(ids, model.max_len - 1, f"prompt {i + 1}", options)
            sources = {i: np.append(ids, self.vocabulary.eos_id) for i, ids in rows.items()}
            yield from predictions(
                self.vocabulary,
                numbers,
                continuations(model, sources, options),
                lines,
                options,
                partial(self._filled, rows, options),
            )

    def _filled(
        self,
        sources: Mapping[int, np.ndarray],
        options: PredictOptions,
        number: int,
        output: Sequence[int],
    ) -> str:
        marks = self.vocabulary.mark_ids
        ids, n_open = fill(sources[number], np.array(output, dtype=np.int64), marks)
        if n_open:
            options.remark(f"prompt {number + 1}: the model left {n_open} {MASK} open")
        first, *others = np.split(ids, np.flatnonzero(np.isin(ids, marks)))
        decode = self.vocabulary.decode
        return MASK.join([decode(first), *(decode(part[1:]) for part in others)])

"""Writing the target, given the source: training batches, metrics and one line per source."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.examples import Pair
from lightning_transformer.decoding.decode import Written
from lightning_transformer.decoding.stop_strings import before_stop
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
from lightning_transformer.tasks.batch import pad_rests, target_labels
from lightning_transformer.tasks.continuations import (
    answer_limits,
    beams_to_score,
    best_tokens,
    continuations,
    predictions,
)
from lightning_transformer.tasks.metrics.bleu import Bleu
from lightning_transformer.tasks.metrics.chrf import ChrF
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.metrics.rouge import Rouge
from lightning_transformer.tasks.metrics.ter import TranslationEditRate
from lightning_transformer.tasks.predict import Prediction, PredictOptions, cut, encode
from lightning_transformer.tasks.token_task import TokenTask

WINDOW = 16  # batches that are sorted by length together


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


# Scores of generated text against its target, all with a `signature`.
TEXT_METRICS: dict[str, Callable[[], Any]] = {
    "bleu": Bleu,
    "chrf": ChrF,
    "ter": TranslationEditRate,
    "rouge1": partial(Rouge, 1),
    "rouge2": partial(Rouge, 2),
    "rougel": partial(Rouge, 0),
}


class TeacherForcing:
    """Pairs -> Batch: the decoder reads BOS y_1 .. y_n and is to say y_1 .. y_n EOS.

    While training the decoder sees the true past, not its own guesses (Williams & Zipser 1989).
    The source ends in EOS, and starts with `before`, which a trained model may expect. Decoder pads
    are on the right, behind every real position, so that the causal mask already hides them; source
    pads are masked.
    """

    def __init__(self, bos_id: int, eos_id: int, pad_id: int, before: Sequence[int] = ()) -> None:
        self.bos_id, self.eos_id, self.pad_id = bos_id, eos_id, pad_id
        self.before = before

    def __call__(self, examples: Sequence[Pair], draws: Sequence[int]) -> Batch:
        sources = [source_row(e.source, self.before, self.eos_id) for e in examples]
        targets = [target_labels(e, self.eos_id) for e in examples]
        labels = pad(targets, IGNORE)
        return Batch(
            pad([np.insert(e.target, 0, self.bos_id) for e in examples], self.pad_id),
            labels,
            (labels != IGNORE).sum(),
            sum(map(len, sources)) + sum(map(len, targets)),
            source_ids=pad(sources, self.pad_id),
            source_padding=pad_mask(sources),
            places=target_places(labels),
            rests=pad_rests(examples),
        )


def source_row(ids: np.ndarray, before: Sequence[int], eos_id: int) -> np.ndarray:
    """Ids of a source as the encoder reads it."""
    return np.concatenate((before, ids, [eos_id])).astype(np.int64)


class Seq2Seq(TokenTask):
    """Write the target, given the source: sum of -log p(y_t | y_<t, x) (Sutskever et al. 2014).

    `loss` is nats per target token under teacher forcing. From output for the first n_generated
    examples of a validation, and for all of the test: `bleu`, `chrf`, `ter` (as sacrebleu has them,
    in per cent, the latter lower is better), `rouge1`, `rouge2`, `rougel`, `exact_match` (share of
    outputs equal to the target), and `chrf_of_source`, the score of handing the source back
    unchanged. Output is greedy, or the best of n_beams with length_penalty (see `Beams`). Line
    breaks in a text count as spaces, as in a file of lines. The text of a target is all of it, also
    what is too long for the model to read. Raises ValueError for options outside their range or
    without effect.
    """

    causal = True
    needs_source = True
    example = Pair
    n_extra_tokens = 1  # EOS of the source, BOS of the target

    def __init__(
        self,
        *,
        loss: nn.Module,
        tie_embeddings: bool = True,
        bias: bool = False,
        softcap: float | None = None,
        score_scale: float | None = None,
        n_generated: int = 64,
        n_beams: int = 1,
        length_penalty: float = 1.0,
    ) -> None:
        super().__init__(
            loss=loss,
            tie_embeddings=tie_embeddings,
            bias=bias,
            softcap=softcap,
            score_scale=score_scale,
        )
        checks.at_least("n_generated", n_generated, 0)
        self.n_generated = n_generated
        self.beams = beams_to_score(n_beams, length_penalty, n_generated)

    def read_vocabulary(self) -> None:
        self.n_extra_tokens = 1 + len(self.vocabulary.before)

    def collator(self, split: str) -> Collator:
        words = self.vocabulary
        return TeacherForcing(words.bos_id, words.eos_id, words.pad_id, words.before)

    def _read(self, ids: np.ndarray) -> np.ndarray:
        return source_row(ids, self.vocabulary.before, self.vocabulary.eos_id)

    def metrics(self) -> dict[str, Metric]:
        generated = {
            **{name: make() for name, make in TEXT_METRICS.items()},
            "chrf_of_source": ChrF(),
            "exact_match": Mean(),
        }
        return super().metrics() | (generated if self.n_generated else {})

    def signatures(self) -> dict[str, str]:
        if not self.n_generated:
            return {}
        return {name: make().signature() for name, make in TEXT_METRICS.items()}

    def generate_metrics(
        self, model: Any, batch: Batch, metrics: nn.ModuleDict, split: str = "val"
    ) -> None:
        sources, targets = self._to_score(batch, metrics, split, model.data_ranks)
        if not sources:
            return
        outputs = self._answers(model, sources)
        given, wanted = self._compare(metrics, outputs, sources, targets)
        update(metrics, "chrf_of_source", given, wanted)

    def update_baseline(
        self,
        metrics: nn.ModuleDict,
        guess: Tensor,
        batch: Batch,
        split: str,
        ranks: tuple[int, int],
    ) -> None:
        """The unigram for the loss; for the scores of text, the source handed back unchanged."""
        super().update_baseline(metrics, guess, batch, split, ranks)
        sources, targets = self._to_score(batch, metrics, split, ranks)
        if sources:
            given, wanted = self._compare(metrics, sources, sources, targets)
            update(metrics, "chrf_of_source", given, wanted)

    def _to_score(
        self, batch: Batch, metrics: nn.ModuleDict, split: str, ranks: tuple[int, int]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Sources and targets of the examples of a batch whose text is to be scored."""
        if not self.n_generated:
            return [], []
        matches = metrics["exact_match"]
        assert isinstance(matches, Mean)
        assert batch.source_ids is not None
        n_examples = min(len(batch.labels), self.left_to_generate(split, matches, ranks))
        pad_id = self.vocabulary.pad_id
        sources = [row[row != pad_id].cpu().numpy() for row in batch.source_ids[:n_examples]]
        targets = [row[row != IGNORE].cpu().numpy() for row in batch.labels[:n_examples]]
        if batch.rests is not None:
            rests = [row[row != IGNORE].cpu().numpy() for row in batch.rests[:n_examples]]
            targets = list(map(np.append, targets, rests))
        return sources, targets

    def _compare(
        self,
        metrics: nn.ModuleDict,
        outputs: Sequence[Sequence[int] | np.ndarray],
        sources: Sequence[np.ndarray],
        targets: Sequence[np.ndarray],
    ) -> tuple[list[str], list[str]]:
        """Add outputs to the scores of text; return sources and targets as lines of text."""
        decode = self.vocabulary.decode
        texts, expected = list(map(decode, outputs)), list(map(decode, targets))
        lines, wanted = list(map(_one_line, texts)), list(map(_one_line, expected))
        for name in TEXT_METRICS:
            update(metrics, name, lines, wanted)
        n_equal = sum(a == b for a, b in zip(texts, expected, strict=True))
        update(metrics, "exact_match", n_equal, len(texts))
        return [_one_line(decode(source)) for source in sources], wanted

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        decode = self.vocabulary.decode
        sources = [self._read(e.source) for e in examples]
        outputs = self._answers(model, sources)
        return [
            Sample(decode(e.source), decode(output), decode(e.target))
            for e, output in zip(examples, outputs, strict=True)
        ]

    def _answers(self, model: Any, sources: Sequence[np.ndarray]) -> list[list[int]]:
        """Outputs of at most twice their source's tokens and 32, whatever is beside it.

        No target has a say in that, so that the scores are those of what `generate` writes.
        """
        limits = answer_limits(sources)
        return best_tokens(model, sources, self.beams, max_new_tokens=limits)

    def encode_input(self, text: str) -> np.ndarray:
        """Ids of a source with the end token."""
        return self._read(self.vocabulary.encode(text))

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """One line per source, greedily by default; line breaks in it become spaces.

        Sources of similar length go through the model together. An empty source gives "".
        """
        options.refuse("a source gets one line", "n_samples")
        options.sampling(0.0)  # refused before the first source
        sources = [text.strip() for text in texts]
        window = WINDOW * options.batch_size
        for start in range(0, len(sources), window):
            numbers = range(start, min(start + window, len(sources)))
            written = self._translate(model, {i: sources[i] for i in numbers}, options)
            yield from predictions(
                self.vocabulary,
                numbers,
                written,
                sources,
                options,
                lambda _, ids: _one_line(before_stop(self.vocabulary.decode(ids), options.stop)),
            )

    def _translate(
        self, model: Any, sources: dict[int, str], options: PredictOptions
    ) -> dict[int, list[Written]]:
        """Outputs of the sources that are not empty, by number."""
        rows = {
            i: self._source_ids(model, text, f"source {i + 1}", options)
            for i, text in sources.items()
            if text
        }
        order = sorted(rows, key=lambda i: len(rows[i]))
        outputs: dict[int, list[Written]] = {}
        for start in range(0, len(order), options.batch_size):
            batch = order[start : start + options.batch_size]
            outputs |= continuations(model, {i: rows[i] for i in batch}, options)
        return outputs

    def _source_ids(self, model: Any, text: str, name: str, options: PredictOptions) -> np.ndarray:
        ids = encode(self.vocabulary, text, name, options)
        return self._read(cut(ids, model.max_len - self.n_extra_tokens, name, options))

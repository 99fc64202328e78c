"""Writing the target, given the source: training batches, metrics and one line per source."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch import nn
from torchmetrics import Metric

from lightning_transformer.data.examples import Pair
from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.decoding.sampler import make_sampler, row_seed
from lightning_transformer.nn import checks
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
from lightning_transformer.tasks.metrics.chrf import ChrF
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.predict import SEED, Prediction, PredictOptions, cut, encode

WINDOW = 16  # batches that are sorted by length together


class TeacherForcing:
    """Pairs -> Batch: the decoder reads BOS y_1 .. y_n and is to say y_1 .. y_n EOS.

    While training the decoder sees the true past, not its own guesses (Williams & Zipser 1989).
    The source ends in EOS. Decoder pads are on the right, behind every real position, so that the
    causal mask already hides them; source pads are masked.
    """

    def __init__(self, bos_id: int, eos_id: int, pad_id: int) -> None:
        self.bos_id, self.eos_id, self.pad_id = bos_id, eos_id, pad_id

    def __call__(self, examples: Sequence[Pair], draws: Sequence[int]) -> Batch:
        sources = [np.append(e.source, self.eos_id) for e in examples]
        targets = [np.append(e.target, self.eos_id) for e in examples]
        labels = pad(targets, IGNORE)
        return Batch(
            pad([np.insert(e.target, 0, self.bos_id) for e in examples], self.pad_id),
            labels,
            (labels != IGNORE).sum(),
            sum(map(len, sources)) + sum(map(len, targets)),
            source_ids=pad(sources, self.pad_id),
            source_padding=pad_mask(sources),
        )


class Seq2Seq(TokenTask):
    """Write the target, given the source: sum of -log p(y_t | y_<t, x) (Sutskever et al. 2014).

    `loss` is nats per target token under teacher forcing. From greedy output of the first
    n_generated examples of a split: `chrf` (character n-gram F-score, Popovic 2015, 0 to 100),
    `exact_match` (share of outputs equal to the target), and `chrf_of_source`, the score of handing
    the source back unchanged.
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

    def collator(self, split: str) -> Collator:
        vocabulary = self.vocabulary
        return TeacherForcing(vocabulary.bos_id, vocabulary.eos_id, vocabulary.pad_id)

    def metrics(self) -> dict[str, Metric]:
        generated = {
            "chrf": ChrF(),
            "chrf_of_source": ChrF(),
            "exact_match": Mean(),
        }
        return super().metrics() | (generated if self.n_generated else {})

    def generate_metrics(self, model: Any, batch: Batch, metrics: nn.ModuleDict) -> None:
        if not self.n_generated:
            return
        matches = metrics["exact_match"]
        assert isinstance(matches, Mean)
        assert batch.source_ids is not None
        rank, n_ranks = model.data_ranks  # which have every n-th example each, see the loader
        room = len(range(rank, self.n_generated, n_ranks)) - int(matches.count)
        if room <= 0:
            return
        vocabulary = self.vocabulary
        sources = [row[row != vocabulary.pad_id].cpu().numpy() for row in batch.source_ids[:room]]
        targets = [row[row != IGNORE].cpu().numpy() for row in batch.labels[:room]]
        outputs = self._answers(model, sources, [len(row) for row in targets])
        texts = list(map(vocabulary.decode, outputs))
        expected = list(map(vocabulary.decode, targets))
        update(metrics, "chrf", texts, expected)
        update(metrics, "chrf_of_source", list(map(vocabulary.decode, sources)), expected)
        n_equal = sum(a == b for a, b in zip(texts, expected, strict=True))
        update(metrics, "exact_match", n_equal, len(texts))

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        decode = self.vocabulary.decode
        sources = [np.append(e.source, self.vocabulary.eos_id) for e in examples]
        outputs = self._answers(model, sources, [len(source) for source in sources])
        return [
            Sample(decode(e.source), decode(output), decode(e.target))
            for e, output in zip(examples, outputs, strict=True)
        ]

    def _answers(
        self, model: Any, sources: Sequence[np.ndarray], lengths: Sequence[int]
    ) -> list[list[int]]:
        """Greedy outputs, each a little longer at most than its length, whatever is beside it."""
        limits = [length + length // 4 + 8 for length in lengths]
        outputs = generate_tokens(model, sources, max_new_tokens=max(limits))
        return [output[:limit] for output, limit in zip(outputs, limits, strict=True)]

    def encode_input(self, text: str) -> np.ndarray:
        """Ids of a source with the end token."""
        return np.append(self.vocabulary.encode(text), self.vocabulary.eos_id)

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
            outputs = self._translate(model, {i: sources[i] for i in numbers}, options)
            for i in numbers:
                yield Prediction((" ".join(outputs.get(i, "").splitlines()),))

    def _translate(
        self, model: Any, sources: dict[int, str], options: PredictOptions
    ) -> dict[int, str]:
        """Outputs of the sources that are not empty, by number."""
        sampling, seed = options.sampling(0.0), SEED if options.seed is None else options.seed
        rows = {
            i: self._source_ids(model, text, f"source {i + 1}", options)
            for i, text in sources.items()
            if text
        }
        order = sorted(rows, key=lambda i: len(rows[i]))
        outputs: dict[int, str] = {}
        for start in range(0, len(order), options.batch_size):
            batch = order[start : start + options.batch_size]
            ids = generate_tokens(
                model,
                [rows[i] for i in batch],
                max_new_tokens=options.max_new_tokens,
                sampler=make_sampler(sampling, [row_seed(seed, i, 0) for i in batch]),
            )
            outputs |= zip(batch, map(self.vocabulary.decode, ids), strict=True)
        return outputs

    def _source_ids(self, model: Any, text: str, name: str, options: PredictOptions) -> np.ndarray:
        ids = encode(self.vocabulary, text, name, options)
        return np.append(cut(ids, model.max_len - 1, name, options), self.vocabulary.eos_id)

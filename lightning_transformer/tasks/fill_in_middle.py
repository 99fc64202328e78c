"""Predicting the next token of texts whose middle may have been moved to their end."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.examples import Tokens
from lightning_transformer.decoding.stop_strings import before_stop
from lightning_transformer.nn import checks
from lightning_transformer.tasks.base import IGNORE, Batch, Collator, Task, update, value
from lightning_transformer.tasks.causal_lm import (
    CausalLM,
    NextToken,
    kind_of_several,
    sampling_of,
)
from lightning_transformer.tasks.continuations import continuations, scored_prediction
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.predict import (
    MASK,
    TEMPERATURE,
    Prediction,
    PredictOptions,
    encode,
)

LEAST = 8  # tokens of a row, of which a middle leaves something
IN_ORDER, AROUND, MIDDLE = 0, 1, 2  # what a token is: of a text as it was, or of one that was cut
EVALUATED = 0.5  # share of the texts of a validation or test that are cut, whatever the training


class Specials(NamedTuple):
    """Ids of the marks before the three parts, and of the end of a text."""

    prefix: int
    suffix: int
    middle: int
    eos: int


def move_middle(
    ids: np.ndarray, n_text: int, rate: float, spm_rate: float, of: Specials, draw: int
) -> tuple[np.ndarray, np.ndarray]:
    """A row of as many tokens in which some texts have their middle at the end, and the kinds (n,).

    ids (n,): texts, each but the last one followed by a special token. Each is cut with probability
    `rate` at two places drawn evenly. The marks, and the end behind the last text of a row, take
    the place of its last 3 or 4 tokens, so that rows keep their length; shorter ones stay.
    """
    random, out, kinds = np.random.default_rng(draw), ids.copy(), np.full(len(ids), IN_ORDER)
    ends = np.append(np.flatnonzero(ids >= n_text), len(ids))
    for start, end in zip(np.append(0, ends[:-1] + 1), ends, strict=True):
        is_cut, is_spm = random.random(2) < (rate, spm_rate)
        last = end == len(ids)
        room = end - start - (4 if last else 3)
        if not is_cut or room < 1:
            continue
        a, b = np.sort(random.integers(0, room + 1, 2))
        prefix, middle, suffix = np.split(ids[start : start + room], [a, b])
        moved, n_around = arranged(prefix, middle, suffix, of, spm=bool(is_spm))
        moved = np.append(moved, of.eos) if last else moved
        out[start:end] = moved
        kinds[start : end + 1] = MIDDLE
        kinds[start : start + n_around] = AROUND
    return out, kinds


def arranged(
    prefix: np.ndarray, middle: np.ndarray, suffix: np.ndarray, of: Specials, *, spm: bool
) -> tuple[np.ndarray, int]:
    """The three parts with their marks, and how many tokens stand before the middle.

    PSM: PRE prefix SUF suffix MID middle. SPM, the paper's second variant, which lets both orders
    be learned together: PRE SUF suffix MID prefix middle.
    """
    first, second, third = ([mark] for mark in of[:3])
    if spm:
        before = np.concatenate((first, second, suffix, third, prefix)).astype(np.int64)
    else:
        before = np.concatenate((first, prefix, second, suffix, third)).astype(np.int64)
    return np.concatenate((before, middle)).astype(np.int64), len(before)


class MoveMiddle:
    """Tokens -> Batch of `NextToken`, after `move_middle` by the example's own random integer.

    evaluates: labels are then of texts in order alone, and further_labels of middles.
    """

    def __init__(
        self,
        then: NextToken,
        n_text: int,
        rates: tuple[float, float],
        of: Specials,
        *,
        evaluates: bool,
    ) -> None:
        self.then, self.n_text, self.rates, self.of = then, n_text, rates, of
        self.evaluates = evaluates

    def __call__(self, examples: Sequence[Tokens], draws: Sequence[int]) -> Batch:
        moved, kinds = [], []
        for example, draw in zip(examples, draws, strict=True):
            ids = np.asarray(example.ids, dtype=np.int64)
            row, kind = move_middle(ids, self.n_text, *self.rates, self.of, draw)
            moved.append(example._replace(ids=row))
            kinds.append(kind[1:])
        batch = self.then(moved, draws)
        if not self.evaluates:
            return batch
        of_label = np.full(batch.labels.shape, AROUND)
        for row, kind in zip(of_label, kinds, strict=True):
            row[: len(kind)] = kind
        kind_of = torch.from_numpy(of_label)
        labels = batch.labels.masked_fill(kind_of != IN_ORDER, IGNORE)
        return batch._replace(
            labels=labels,
            n_targets=(labels != IGNORE).sum(),
            further_labels=batch.labels.masked_fill(kind_of != MIDDLE, IGNORE),
        )


class FillInMiddle(CausalLM):
    """Predict the next token, also of texts whose middle is at the end (Bavarian et al. 2022, FIM).

        PSM: <PRE> prefix <SUF> suffix <MID> middle END
        SPM: <PRE> <SUF> suffix <MID> prefix middle END

    Documents, and parts of them in a row, are cut with probability `rate`, of tokens and within a
    row (the paper's context level); of those that are cut, spm_rate have the order SPM. See
    `move_middle` for what gives way to the marks.

    In evaluation half of the texts are cut, whatever the rate: `loss`, `perplexity` and
    `bits_per_byte` are of the others, as with task=causal_lm, and `middle_loss` is nats per token
    of the middles, their end included. So runs of other rates are measured on the same targets.

    Raises ValueError for max_len, tokens of a row, below 8, where nothing could be cut.
    """

    marks = ("<PRE>", "<SUF>", "<MID>")

    def __init__(
        self,
        *,
        loss: nn.Module,
        max_len: int,
        rate: float = 0.5,
        spm_rate: float = 0.5,
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
        checks.at_least("max_len", max_len, LEAST, 128)
        checks.closed_fraction("rate", rate, 0.5)
        checks.closed_fraction("spm_rate", spm_rate, 0.5)
        self.rate, self.spm_rate = rate, spm_rate

    def hide_prefix(self, n_prefix: int) -> None:
        Task.hide_prefix(self, n_prefix)

    def collator(self, split: str) -> Collator:
        then = super().collator(split)
        assert isinstance(then, NextToken)
        training = split == "train"
        rates = (self.rate if training else EVALUATED, self.spm_rate)
        n_text = self.vocabulary.n_text
        return MoveMiddle(then, n_text, rates, self._specials(), evaluates=not training)

    def _specials(self) -> Specials:
        prefix, suffix, middle = self.vocabulary.mark_ids.tolist()
        return Specials(prefix, suffix, middle, self.vocabulary.eos_id)

    def metrics(self) -> dict[str, Metric]:
        return super().metrics() | {"middle_loss": Mean()}

    def metric_names(self) -> list[str]:
        return [*super().metric_names(), "middle_loss"]

    def update_scored(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, batch: Batch
    ) -> None:
        super().update_scored(metrics, scores, labels, batch)
        if batch.further_labels is not None:
            further = batch.further_labels.flatten()
            nll = self.loss(scores, further).nll
            update(metrics, "middle_loss", nll, (further != IGNORE).sum())

    def compute(self, metrics: nn.ModuleDict) -> dict[str, Tensor]:
        return super().compute(metrics) | {"middle_loss": value(metrics, "middle_loss")}

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """Each text with its [MASK] filled, or continued where it has none, n_samples times.

        Raises ValueError for a text with several.
        """
        for number, text in enumerate(texts, start=1):
            if text.count(MASK) > 1:
                raise ValueError(
                    f"prompt {number} has {text.count(MASK)} {MASK}, and one middle is filled at a "
                    "time; leave one, and fill the others afterwards"
                )
        if not any(MASK in text for text in texts):
            yield from super().predict(model, texts, options)
            return
        for number, text in enumerate(texts, start=1):
            if MASK in text:
                yield from self._fill(model, text, f"prompt {number}", options)
            else:
                yield from super().predict(model, [text], options)

    def _fill(
        self, model: Any, text: str, name: str, options: PredictOptions
    ) -> Iterator[Prediction]:
        sampling_of(options)  # refused before the model reads anything
        before, after = text.split(MASK)
        prefix, suffix = (encode(self.vocabulary, part, name, options) for part in (before, after))
        if len(prefix) + len(suffix) > (room := model.max_len * 3 // 4 - 3):
            n_after = min(len(suffix), max(room // 2, room - len(prefix)))
            n_before = min(len(prefix), room - n_after)
            prefix, suffix = prefix[len(prefix) - n_before :], suffix[:n_after]
            options.remark(
                f"{name}: longer than the model can read with a middle; it reads the {n_before} "
                f"tokens before {MASK} and the {n_after} behind it"
            )
        none = prefix[:0]
        row, _ = arranged(prefix, none, suffix, self._specials(), spm=self.spm_rate == 1)
        most = min(options.max_new_tokens, model.max_len - len(row))
        found = continuations(
            model,
            {(0, sample): row for sample in range(options.n_samples)},
            replace(options, max_new_tokens=most),
            TEMPERATURE,
        )
        written = [out for outs in found.values() for out in outs]
        for sample, out in enumerate(written, start=1):
            if len(out.ids) == most:
                options.remark(f"{name}: the middle was cut after {most} tokens")
            middle = before_stop(self.vocabulary.decode(out.ids), options.stop)
            filled = before + middle + after
            if options.scores:
                yield scored_prediction(self.vocabulary, out, filled, text)
                continue
            title = f"{name}, {kind_of_several(options)} {sample} of {len(written)}"
            yield Prediction((filled,), title=title if len(written) > 1 else "")

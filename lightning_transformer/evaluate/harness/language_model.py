"""What benchmarks ask of a language model, in texts: log-probabilities and greedy continuations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lightning_transformer.data.examples import Tokens
from lightning_transformer.decoding.decode import generate
from lightning_transformer.decoding.next_scores import NextScores
from lightning_transformer.decoding.stop_strings import before_stop
from lightning_transformer.decoding.text_stream import TextStream
from lightning_transformer.errors import ConfigError
from lightning_transformer.tasks.base import Batch
from lightning_transformer.tasks.token_task import TokenTask

MAX_NEW_TOKENS = 256  # of a text that generate_until is to write, where nothing else is said
MAX_SCORES = 1 << 25  # of a batch: 128 MiB in single precision


class ScoredRow(NamedTuple):
    """Tokens (n,) of which the last n_scored are scored, each by those before it."""

    ids: np.ndarray
    n_scored: int


@dataclass(frozen=True)
class HowToWrite:
    """Greedily, up to max_new_tokens tokens, and not beyond the first of the texts `until`."""

    until: tuple[str, ...]
    max_new_tokens: int


class LanguageModel:
    """A decoder as lm-eval's class LM has it, on plain texts.

    A context and its continuation are tokenised as one text where the model was trained on running
    text; what follows the tokens of the context alone is the continuation, to which spaces between
    them belong. Where it was trained on prompts and responses they are tokenised apart, as there.
    An empty context is the start of a document. Of a row that is longer than the model reads, the
    first tokens are left out. Log-probabilities are natural, over the whole vocabulary.

    n_tokens, n_unknown: tokens that were scored so far, and those that the vocabulary lacks.
    """

    def __init__(self, model: Any, batch_size: int = 32) -> None:
        check_reads_forward(model)
        self.model, self.batch_size = model.eval(), batch_size
        self.vocabulary = model.task.vocabulary
        self.next_scores = NextScores(model, [])
        self.n_tokens = self.n_unknown = 0

    def loglikelihood(self, asked: Iterable[tuple[str, str]]) -> list[tuple[float, bool]]:
        """Of (context, continuation): log p(continuation | context), and whether it is greedy.

        It is where each of its tokens is the likeliest one that is ever written.
        Raises ValueError for a continuation that is longer than the model reads.
        """
        return self._score([self._pair(*texts) for texts in asked])

    def loglikelihood_rolling(self, texts: Sequence[str]) -> list[float]:
        """Of each text: the sum of log p of its tokens, from the start of a document.

        A text longer than the model reads is scored in windows of its length; only the last of them
        overlaps with the one before (`windows`).
        """
        rows, owner = [], []
        for number, text in enumerate(texts):
            start = self._start()
            ids = np.concatenate((start, self.vocabulary.encode(text))).astype(np.int64)
            for row in windows(ids, len(start), self.model.max_len):
                rows.append(row)
                owner.append(number)
        sums = [0.0] * len(texts)
        for number, (logprob, _) in zip(owner, self._score(rows), strict=True):
            sums[number] += logprob
        return sums

    def generate_until(self, asked: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
        """What the model writes behind each context, greedily, before the first stop string.

        Options: until, a text or several; max_gen_toks (256). Sampling is refused with ValueError,
        as is any other option, for it would have no effect.
        """
        jobs = [(self._context(context), how_to_write(options)) for context, options in asked]
        texts = [""] * len(jobs)
        by_way: dict[HowToWrite, list[int]] = defaultdict(list)
        for number, (_, way) in enumerate(jobs):
            by_way[way].append(number)
        for way, numbers in by_way.items():
            for part in in_parts(numbers, self.batch_size):
                rows = [jobs[i][0] for i in part]
                written = generate(
                    self.model, rows, max_new_tokens=way.max_new_tokens, stop=way.until
                )
                for i, row, found in zip(part, rows, written, strict=True):
                    stream = TextStream(self.vocabulary, row)
                    texts[i] = before_stop(stream.push(found.ids) + stream.end(), way.until)
        return texts

    # -- tokens -----------------------------------------------------------------------------------

    @property
    def _reads_running_text(self) -> bool:
        return bool(issubclass(self.model.task.example, Tokens))

    def _start(self) -> np.ndarray:
        """The tokens (n,), one at least, from which the first of a text is predicted."""
        before = self.model.task.encode_input("")
        return before if len(before) else np.array([self.vocabulary.eos_id])

    def _context(self, text: str) -> np.ndarray:
        """The tokens of a context, one at least."""
        ids = self.model.task.encode_input(text) if text else self._start()
        return np.asarray(ids, dtype=np.int64)

    def _pair(self, context: str, continuation: str) -> ScoredRow:
        """The tokens of both, those of the continuation being scored."""
        if not self._reads_running_text or not context:
            before, after = self._context(context), self.vocabulary.encode(continuation)
            ids = np.concatenate((before, after))
            return self._cut(ids.astype(np.int64), len(after))
        bare = context.rstrip()
        if not bare:  # of spaces alone, which are the context then
            bare = context
        ids = self._context(context + continuation)
        return self._cut(ids, len(ids) - len(self._context(bare)))

    def _cut(self, ids: np.ndarray, n_scored: int) -> ScoredRow:
        """The end of a row, as long as the model reads. One token more is scored and not read."""
        longest = self.model.max_len
        if n_scored > longest:
            raise ValueError(
                f"a continuation of {n_scored} tokens: the model reads {longest} at most; use a "
                "task with shorter ones, or a model with a larger data.seq_len"
            )
        return ScoredRow(ids[-longest - 1 :], n_scored)

    # -- scores -----------------------------------------------------------------------------------

    @torch.no_grad()
    def _score(self, rows: Sequence[ScoredRow]) -> list[tuple[float, bool]]:
        """Log-probability of what is scored in each row, and whether all of it is greedy.

        Rows of one length share a batch: without padding, none can change another.
        """
        found = [(0.0, True)] * len(rows)
        by_length: dict[int, list[int]] = defaultdict(list)
        for number, row in enumerate(rows):
            if row.n_scored:  # an empty continuation has a probability of 1
                by_length[len(row.ids)].append(number)
        for length, numbers in sorted(by_length.items()):
            size = max(1, min(self.batch_size, MAX_SCORES // (length * self.vocabulary.size)))
            for part in in_parts(numbers, size):
                for i, value in zip(part, self._score_batch([rows[i] for i in part]), strict=True):
                    found[i] = value
        return found

    def _score_batch(self, rows: Sequence[ScoredRow]) -> Iterator[tuple[float, bool]]:
        """The same for rows of one length."""
        ids = torch.from_numpy(np.stack([row.ids for row in rows])).to(self.model.device)
        features = self.model.features(Batch.without_labels(ids[:, :-1]))
        longest = max(row.n_scored for row in rows)
        scores = self.next_scores(features[:, -longest:])
        targets = ids[:, -longest:]
        logprobs = scores.log_softmax(dim=-1).gather(-1, targets[..., None])[..., 0]
        greedy = self.next_scores.allowed(scores).argmax(dim=-1) == targets
        for i, row in enumerate(rows):
            mine = slice(longest - row.n_scored, None)
            self._count(targets[i, mine])
            yield float(logprobs[i, mine].double().sum()), bool(greedy[i, mine].all())

    def _count(self, targets: Tensor) -> None:
        self.n_tokens += len(targets)
        self.n_unknown += int((targets == self.vocabulary.unk_id).sum())


def windows(ids: np.ndarray, n_start: int, max_len: int) -> Iterator[ScoredRow]:
    """Rows that score every token (n,) behind the first n_start once, each reading max_len at most.

    The first begins with the row; each other reads as many tokens as it can before its last one.
    """
    done, total = n_start, len(ids)
    while done < total:
        end = min(total, done + max_len if done > n_start else max_len + 1)
        yield ScoredRow(ids[max(0, end - max_len - 1) : end], end - done)
        done = end


def in_parts(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Parts of at most `size`, in order."""
    return (numbers[start : start + size] for start in range(0, len(numbers), size))


def how_to_write(options: Mapping[str, Any]) -> HowToWrite:
    """Options of lm-eval's generation_kwargs; ValueError for what is not done here."""
    left = dict(options)
    until = left.pop("until", None) or ()
    n = left.pop("max_gen_toks", MAX_NEW_TOKENS)
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"generation_kwargs.max_gen_toks={n} must be an integer >= 1, e.g. 256")
    if left.pop("do_sample", False) or left.pop("temperature", 0.0):
        raise ValueError(
            "generation_kwargs: texts are written greedily, so that items can be paired; use "
            "do_sample: false, and no temperature"
        )
    if left:
        raise ValueError(
            f"generation_kwargs.{min(left)} is not known here; there is until, max_gen_toks and "
            "do_sample: false"
        )
    return HowToWrite((until,) if isinstance(until, str) else tuple(until), n)


def check_reads_forward(model: Any) -> None:
    """Refuse a model that gives no chance to a text from left to right, with ConfigError."""
    task = model.task
    kind = f"model={type(model).__name__} with task={type(task).__name__}"
    if model.has_source or not model.causal or not isinstance(task, TokenTask):
        raise ConfigError(f"{kind} gives no next token to a text; --tasks needs a decoder of text")
    n_prefix = getattr(model, "n_prefix", 0)
    if task.reads_prefix or n_prefix:
        raise ConfigError(
            f"{kind} reads the start of a row in both directions, which --tasks does not do; use a "
            "run with pattern=full and task=causal_lm or task=instruct"
        )

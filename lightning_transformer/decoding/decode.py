"""Batched generation with a key/value cache: one position per new token."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lightning_transformer.decoding.next_scores import NextScores
from lightning_transformer.decoding.stop_strings import StopStrings

Sampler = Callable[[Tensor], Tensor]  # scores (B, V), float32 or float64 -> ids (B,)


class Step(NamedTuple):
    """The next token of every row, (B,) long, and its log-probability (B,), if asked for.

    The probability is the model's own, among all tokens: before temperature, cuts and penalty.
    """

    ids: Tensor
    logprobs: Tensor | None = None


class Written(NamedTuple):
    """What a model wrote: tokens, without the end token, and, if asked for, their log-probability.

    score: of a beam, see `Beams`.
    """

    ids: list[int]
    logprobs: list[float] | None = None
    score: float | None = None


def greedy(scores: Tensor) -> Tensor:
    """The likeliest token."""
    return scores.argmax(dim=-1)


@torch.no_grad()
def decode_steps(
    model: Any,
    rows: Sequence[np.ndarray],
    *,
    max_new_tokens: int | Sequence[int],
    sampler: Sampler = greedy,
    repetition_penalty: float = 1.0,
    stop: Sequence[str] = (),
    logprobs: bool = False,
) -> Iterator[Step]:
    """Yield the next token of every row, max_new_tokens times at most, or each row's own number.

    Rows are prompts of a decoder or sources of an encoder-decoder, at least one token each. A row
    that has ended, has written its number, or a string of `stop`, gives EOS; the stream ends when
    all rows have, or when a model that cannot slide is full. A model that slides drops the first
    half of a row of max_len tokens each time that row is full. The output of a row does not depend
    on the other rows.
    """
    assert all(len(row) for row in rows), "an empty prompt has no last token to go on from"
    words = model.task.vocabulary
    if model.slides:
        rows = [tail(row, model.max_len) for row in rows]
    limits = row_limits(max_new_tokens, len(rows))
    going = _Going(model, rows, limits, stop, repetition_penalty)
    state, ids, padding = model.begin(rows)
    for n_tokens in range(1, max(limits) + 1):
        if state.cache.length + ids.shape[1] > model.max_len:
            if not model.slides:
                return
            # All tokens so far become the prompt.
            state, ids, padding = model.begin(going.restart(model))
        next_scores, done = going.next_scores, going.done
        scores = next_scores(model.decode(ids, state, padding)[:, -1])
        new = sampler(next_scores.allowed(scores)).masked_fill(done, words.eos_id)
        next_scores.note(new)
        chances = going.of_all(_logprobs(scores, new), 0.0) if logprobs else None
        yield Step(going.of_all(new, words.eos_id), chances)
        n_left = going.write(new, n_tokens)
        if not n_left:
            return
        # A sampler draws for each row what it would alone, by its number: it needs them all.
        if sampler is greedy and 2 * n_left <= len(new):
            kept = going.drop_ended()
            state.expand(kept)
            new = new[kept]
        ids, padding = new[:, None], None


class _Going:
    """The rows that are still decoded, and what they have written.

    Ended ones are left out when they are half of them: a few long texts would have the others
    computed for nothing.
    """

    def __init__(
        self,
        model: Any,
        rows: Sequence[np.ndarray],
        limits: Sequence[int],
        stop: Sequence[str],
        repetition_penalty: float,
    ) -> None:
        self.n_all, self.rows = len(rows), list(rows)
        self.next_scores = NextScores(model, rows, repetition_penalty)
        self.eos_id = model.task.vocabulary.eos_id
        self.limits = torch.tensor(limits, device=model.device)
        self.places = torch.arange(len(rows), device=model.device)
        self.done = torch.zeros(len(rows), dtype=torch.bool, device=model.device)
        self.stops = StopStrings(model.task.vocabulary, stop)
        self.texts: list[list[int]] = [[] for _ in rows]  # only where they are looked at
        self.generated: list[Tensor] = []  # since the prompts began

    def of_all(self, values: Tensor, fill: float) -> Tensor:
        """Values (n,) of the rows that go on -> (B,), `fill` for those that were left out."""
        if len(values) == self.n_all:
            return values
        return values.new_full((self.n_all,), fill).index_copy(0, self.places, values)

    def write(self, new: Tensor, n_tokens: int) -> int:
        """Note the n_tokens-th tokens; return how many rows go on. Waits for the device."""
        self.done = self.done | (new == self.eos_id) | (self.limits == n_tokens)
        if self.stops:
            self.done = self.done | _stopped(self.stops, self.texts, new)
        self.generated.append(new)
        return int((~self.done).sum())

    def drop_ended(self) -> Tensor:
        """Leave out the rows that have ended; return which (n,) of those so far are left."""
        kept = (~self.done).nonzero()[:, 0]
        numbers = kept.tolist()
        self.rows = [self.rows[i] for i in numbers]
        self.texts = [self.texts[i] for i in numbers]
        self.generated = [ids[kept] for ids in self.generated]
        self.limits, self.places, self.done = (
            values[kept] for values in (self.limits, self.places, self.done)
        )
        self.next_scores.select(kept)
        return kept

    def restart(self, model: Any) -> list[np.ndarray]:
        """Make prompts of all so far."""
        self.rows = _restart_prompt(self.rows, self.generated, self.done, model)
        self.generated = []
        return self.rows


def row_limits(max_new_tokens: int | Sequence[int], n_rows: int) -> list[int]:
    """The most new tokens of each row."""
    if isinstance(max_new_tokens, int):
        return [max_new_tokens] * n_rows
    return list(max_new_tokens)


def stream_tokens(
    model: Any, rows: Sequence[np.ndarray], *, max_new_tokens: int, sampler: Sampler = greedy
) -> Iterator[Tensor]:
    """Yield the tokens (B,) of `decode_steps`, with the same arguments."""
    for step in decode_steps(model, rows, max_new_tokens=max_new_tokens, sampler=sampler):
        yield step.ids


def generate(
    model: Any,
    rows: Sequence[np.ndarray],
    *,
    max_new_tokens: int | Sequence[int],
    sampler: Sampler = greedy,
    repetition_penalty: float = 1.0,
    stop: Sequence[str] = (),
    logprobs: bool = False,
) -> list[Written]:
    """Generate to the end: what each row wrote, cut before EOS; arguments as `decode_steps`."""
    if not rows:
        return []
    steps = list(
        decode_steps(
            model,
            rows,
            max_new_tokens=max_new_tokens,
            sampler=sampler,
            repetition_penalty=repetition_penalty,
            stop=stop,
            logprobs=logprobs,
        )
    )
    if not steps:
        return [Written([], [] if logprobs else None) for _ in rows]
    eos = model.task.vocabulary.eos_id
    chances = [step.logprobs for step in steps if step.logprobs is not None]
    values = torch.stack(chances, dim=1).tolist() if logprobs else [None] * len(rows)
    written = []
    for row, chance in zip(
        torch.stack([s.ids for s in steps], dim=1).tolist(), values, strict=True
    ):
        n = row.index(eos) if eos in row else len(row)
        written.append(Written(row[:n], None if chance is None else chance[:n]))
    return written


def generate_tokens(
    model: Any,
    rows: Sequence[np.ndarray],
    *,
    max_new_tokens: int | Sequence[int],
    sampler: Sampler = greedy,
) -> list[list[int]]:
    """Generate to the end: token ids per row, cut before EOS."""
    written = generate(model, rows, max_new_tokens=max_new_tokens, sampler=sampler)
    return [text.ids for text in written]


def _logprobs(scores: Tensor, ids: Tensor) -> Tensor:
    return scores.log_softmax(dim=-1).gather(-1, ids[:, None])[:, 0]


def _stopped(stops: StopStrings, texts: list[list[int]], new: Tensor) -> Tensor:
    """Which rows (B,) end with their new tokens, which are added to the texts."""
    for text, token in zip(texts, new.tolist(), strict=True):
        text.append(token)
    return torch.tensor([stops.reached(text) for text in texts], device=new.device)


def tail(row: np.ndarray, max_len: int) -> np.ndarray:
    """The row, or the last half of max_len tokens of one that is longer than max_len."""
    return row if len(row) <= max_len else row[-max(1, max_len // 2) :]


def _restart_prompt(
    rows: Sequence[np.ndarray], generated: Sequence[Tensor], done: Tensor, model: Any
) -> list[np.ndarray]:
    """Prompts to continue from: the end of each row; of a finished row only what a prompt needs."""
    longer = []
    columns = torch.stack(list(generated), dim=1).cpu().numpy()
    for row, more, finished in zip(rows, columns, done.tolist(), strict=True):
        full = np.concatenate((row, more))
        enough = full[-max(1, model.n_prefix) :]
        longer.append(enough if finished else tail(full, model.max_len))
    return longer

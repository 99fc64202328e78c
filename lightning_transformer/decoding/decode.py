"""Batched generation with a key/value cache: one position per new token."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Sampler = Callable[[Tensor], Tensor]  # scores (B, V), float32 or float64 -> ids (B,)


def greedy(scores: Tensor) -> Tensor:
    """The likeliest token."""
    return scores.argmax(dim=-1)


@torch.no_grad()
def stream_tokens(
    model: Any, rows: Sequence[np.ndarray], *, max_new_tokens: int, sampler: Sampler = greedy
) -> Iterator[Tensor]:
    """Yield the next token of every row, (B,) long on the model's device, max_new_tokens times.

    Rows are prompts of a decoder or sources of an encoder-decoder, at least one token each. A row
    that has ended gives EOS; the stream ends when all rows have, or when a model that cannot slide
    is full. A model that slides drops the first half of a row of max_len tokens each time that row
    is full. The output of a row does not depend on the other rows.
    """
    assert all(len(row) for row in rows), "an empty prompt has no last token to go on from"
    eos_id = model.task.vocabulary.eos_id
    mask = _special_mask(model)
    if model.slides:
        rows = [_tail(row, model.max_len) for row in rows]
    done = torch.zeros(len(rows), dtype=torch.bool, device=model.device)
    state, ids, padding = model.begin(rows)
    generated: list[Tensor] = []
    for _ in range(max_new_tokens):
        if state.cache.length + ids.shape[1] > model.max_len:
            if not model.slides:
                return
            # All tokens so far become the prompt.
            rows, generated = _restart_prompt(rows, generated, done, model), []
            state, ids, padding = model.begin(rows)
        features = model.decode(ids, state, padding)[:, -1]
        scores = model.task.head(features)
        # Half precision has too few digits for a cumulative sum over a vocabulary.
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32)) + mask
        new = sampler(scores).masked_fill(done, eos_id)
        done = done | (new == eos_id)
        yield new
        if bool(done.all()):
            return
        generated.append(new)
        ids, padding = new[:, None], None


def _special_mask(model: Any) -> Tensor:
    """(V,) to add to the scores: -inf for special tokens other than EOS, else 0."""
    vocabulary = model.task.vocabulary
    mask = torch.zeros(vocabulary.size, device=model.device)
    mask[vocabulary.n_text :] = float("-inf")
    mask[vocabulary.eos_id] = 0.0
    return mask


def _tail(row: np.ndarray, max_len: int) -> np.ndarray:
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
        longer.append(enough if finished else _tail(full, model.max_len))
    return longer


def generate_tokens(
    model: Any, rows: Sequence[np.ndarray], *, max_new_tokens: int, sampler: Sampler = greedy
) -> list[list[int]]:
    """Generate to the end: token ids per row, cut before EOS."""
    if not rows:
        return []
    columns = list(stream_tokens(model, rows, max_new_tokens=max_new_tokens, sampler=sampler))
    if not columns:
        return [[] for _ in rows]
    eos = model.task.vocabulary.eos_id
    answers = []
    for row in torch.stack(columns, dim=1).tolist():
        answers.append(row[: row.index(eos)] if eos in row else row)
    return answers

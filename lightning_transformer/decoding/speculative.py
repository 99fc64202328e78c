"""Speculative decoding: a small model drafts tokens, and the model checks them together."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_transformer.decoding.decode import tail
from lightning_transformer.decoding.next_scores import NextScores
from lightning_transformer.decoding.sampler import probabilities
from lightning_transformer.decoding.sampling import Sampling
from lightning_transformer.decoding.stop_strings import StopStrings

N_DRAFT = 4  # tokens that are drafted at a time


def check_draft(model: Any, draft: Any) -> None:
    """Raise ValueError unless a model can draft for another: same tokens, same kind of prompt."""
    ours, theirs = model.task.vocabulary, draft.task.vocabulary
    if ours.size != theirs.size or ours.eos_id != theirs.eos_id or _texts(ours) != _texts(theirs):
        raise ValueError(
            f"the draft has another vocabulary, of {theirs.size} tokens for {ours.size}; use a run "
            "with the same tokenizer on the same data"
        )
    if draft.has_source != model.has_source:
        kinds = f"model={type(draft).__name__} for model={type(model).__name__}"
        raise ValueError(f"the draft reads other prompts, {kinds}; use a run of the same model=")


def _texts(vocabulary: Any) -> list[str]:
    return [vocabulary.token_text(number) for number in range(vocabulary.n_text)]


@torch.no_grad()
def speculative_tokens(
    model: Any,
    draft: Any,
    row: np.ndarray,
    *,
    max_new_tokens: int,
    sampling: Sampling,
    seed: int,
    n_draft: int = N_DRAFT,
    repetition_penalty: float = 1.0,
    stop: Sequence[str] = (),
) -> Iterator[tuple[int, float]]:
    """Yield the tokens after one prompt, or for one source, and their log-probability; no EOS.

    n_draft tokens x are drawn from the draft's distribution q; the model, which reads them in one
    pass, takes each with probability min(1, p(x) / q(x)) and draws the first that it does not take
    from max(0, p - q), normalised, so that what is written is distributed by p (Leviathan et al.
    2023). Both distributions are those after temperature, cuts and penalty. At temperature 0 these
    are the tokens of `decode_steps`, up to ties within rounding. ValueError for layers that cannot
    take tokens back.
    """
    words = model.task.vocabulary
    random = torch.Generator().manual_seed(seed)
    stops = StopStrings(words, stop)
    ours, theirs = (_Reader(m, row, repetition_penalty) for m in (model, draft))
    text: list[int] = []
    while len(text) < max_new_tokens:
        if not ours.has_room(text):
            return
        room = min(ours.room, theirs.room if theirs.has_room(text) else 0)
        n = min(n_draft, max_new_tokens - len(text) - 1, room)
        drafted: list[int] = []
        guesses: list[Tensor] = []
        for _ in range(n):
            scores = theirs.read([*text, *drafted])[-1:]
            guesses.append(probabilities(scores, sampling)[0].cpu())
            drafted.append(_drawn(guesses[-1], random))
            if drafted[-1] == words.eos_id:
                break
        scores = ours.read([*text, *drafted], len(drafted) + 1)
        wanted = probabilities(scores, sampling).cpu()
        new = _accepted(drafted, guesses, wanted, random)
        own = ours.own_logprobs(new)
        ours.rewind(len(drafted) + 1 - len(new))
        theirs.rewind(max(0, len(drafted) - len(new)))
        for token, logprob in zip(new, own, strict=True):
            if token == words.eos_id:
                return
            text.append(token)
            yield token, logprob
            if stops.reached(text):
                return


def _drawn(chances: Tensor, random: torch.Generator) -> int:
    return int(torch.multinomial(chances, 1, generator=random))


def _accepted(
    drafted: Sequence[int], guesses: Sequence[Tensor], wanted: Tensor, random: torch.Generator
) -> list[int]:
    """The drafted tokens that are taken, and one more of the model's own."""
    new: list[int] = []
    for token, guess, p in zip(drafted, guesses, wanted, strict=False):
        if float(torch.rand((), generator=random)) * float(guess[token]) < float(p[token]):
            new.append(token)
            continue
        rest = (p - guess).clamp(min=0)
        return [*new, _drawn(rest if float(rest.sum()) > 0 else p, random)]
    return [*new, _drawn(wanted[len(drafted)], random)]


class _Reader:
    """A model at one row: what it has read of prompt and text, and how much it can still read."""

    def __init__(self, model: Any, row: np.ndarray, repetition_penalty: float) -> None:
        self.model, self.penalty = model, repetition_penalty
        self.row = tail(row, model.max_len) if model.slides else row
        self.n_read = self.unread = 0  # tokens of the text
        self._scores: Tensor | None = None  # of the last pass, (T, V), not penalised
        self._begin([])

    def _begin(self, text: Sequence[int]) -> None:
        row = np.concatenate((self.row, np.array(text, dtype=np.int64)))
        row = tail(row, self.model.max_len) if self.model.slides else self.row
        self.state, ids, _ = self.model.begin([row])
        self.state.cache.check_rewind()
        self.before: Tensor | None = ids  # what comes before the text that is still to be read
        self.n_read = len(text)
        self.next_scores = NextScores(self.model, [self.row], self.penalty)

    @property
    def room(self) -> int:
        """How many tokens can be read, beside those that must be."""
        before = 0 if self.before is None else self.before.shape[1]
        return int(self.model.max_len - self.state.cache.length - before - self.unread)

    def has_room(self, text: Sequence[int]) -> bool:
        """Whether a token can follow the text; begins again from its end where that helps."""
        self.unread = len(text) - self.n_read
        if self.room >= 0:
            return True
        if not self.model.slides:
            return False
        self._begin(text)
        self.unread = 0
        return True

    def read(self, text: Sequence[int], n_scores: int = 1) -> Tensor:
        """Read on to the end of the text; scores (n_scores, V) after its last tokens, penalised."""
        new = torch.tensor([text[self.n_read :]], dtype=torch.long, device=self.model.device)
        parts = [part for part in (self.before, new) if part is not None and part.shape[1]]
        if not self.model.task.reads_prefix:  # which is what is read first
            parts = [torch.cat(parts, dim=1)]
        features = torch.cat([self.model.decode(ids, self.state, None) for ids in parts], dim=1)
        self.before, self.n_read = None, len(text)
        scores = self.next_scores(features[0, -n_scores:])
        self._scores = scores
        return self._allowed(scores, text)

    def _allowed(self, scores: Tensor, text: Sequence[int]) -> Tensor:
        rule = self.next_scores
        if rule.seen is None:
            return scores + rule.mask
        seen = rule.seen.repeat(len(scores), 1)
        for i in range(len(scores)):
            seen[i, list(text[: len(text) - len(scores) + 1 + i])] = True
        return rule.penalised(scores, seen) + rule.mask

    def own_logprobs(self, new: Sequence[int]) -> list[float]:
        """Log-probabilities of tokens by the model itself, at the places of the last scores."""
        assert self._scores is not None
        chances = self._scores[: len(new)].log_softmax(dim=-1)
        ids = torch.tensor(new, device=chances.device)[:, None]
        found: list[float] = chances.gather(1, ids)[:, 0].tolist()
        return found

    def rewind(self, n: int) -> None:
        """Take back the last n tokens."""
        self.state.cache.rewind(n)
        self.n_read -= n

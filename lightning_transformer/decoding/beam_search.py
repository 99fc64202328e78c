"""Beam search over tokens (Graves 2012; Sutskever et al. 2014)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from lightning_transformer.decoding.decode import Written, row_limits, tail
from lightning_transformer.decoding.next_scores import NextScores
from lightning_transformer.decoding.sampling import Beams
from lightning_transformer.decoding.stop_strings import StopStrings


@dataclass
class _Row:
    """The search of one row: texts that go on, best first, and the n_beams best that ended."""

    beams: Beams
    limit: int  # tokens of a text, its end included
    live: list[Written]
    ended: list[Written] = field(default_factory=list)
    done: bool = False

    def end(self, text: Written, total: float, n_tokens: int) -> None:
        """Keep a text that ended after n_tokens, if it is among the best."""
        score = total / n_tokens**self.beams.length_penalty
        self.ended.append(text._replace(score=score))
        self.ended.sort(key=lambda t: -(t.score or 0.0))  # stable: the earlier of equals is kept
        del self.ended[self.beams.n_beams :]

    def close(self, best: float, n_tokens: int) -> None:
        """Stop if texts that go on, the likeliest with log-probability `best`, cannot gain."""
        if len(self.ended) < self.beams.n_beams:
            return
        # log p only falls, so that the most favourable length is the longest or, where longer
        # texts lose by the penalty, the next.
        n = self.limit if self.beams.length_penalty > 0 else n_tokens + 1
        worst = self.ended[-1].score
        assert worst is not None
        self.done = best / n**self.beams.length_penalty <= worst


@torch.no_grad()
def beam_search(
    model: Any,
    rows: Sequence[np.ndarray],
    beams: Beams,
    *,
    max_new_tokens: int | Sequence[int],
    repetition_penalty: float = 1.0,
    stop: Sequence[str] = (),
    logprobs: bool = False,
) -> list[list[Written]]:
    """The n_best texts of each row, best first.

    max_new_tokens: of all rows, or of each. At each token the n_beams likeliest ways to go on are
    kept; an end, EOS or a string of `stop`, counts if it is among these. A row is searched until
    none of its texts can become one of the n_beams best, or to its limit, where those that go on
    count as ended. Scores are of the model's probabilities among all tokens, with the penalty. A
    model that slides drops the first half of its context when it is full, as in `decode_steps`.
    The output of a row does not depend on the other rows.
    """
    assert all(len(row) for row in rows), "an empty prompt has no last token to go on from"
    if not rows:
        return []
    limits = row_limits(max_new_tokens, len(rows))
    empty = Written([], [])
    searches = [_Row(beams, n, [empty] * beams.n_beams) for n in limits]
    if model.slides:
        rows = [tail(row, model.max_len) for row in rows]
    search = _Search(model, rows, beams.n_beams, repetition_penalty)
    stops = StopStrings(model.task.vocabulary, stop)
    for n_tokens in range(1, max(limits) + 1):
        if not search.has_room() and not search.restart([row.live for row in searches]):
            break
        candidates = search.candidates()
        chosen = [
            _advance(row, found, n_tokens, stops, model.task.vocabulary.eos_id)
            for row, found in zip(searches, candidates, strict=True)
        ]
        if all(row.done for row in searches):
            break
        search.go_on(chosen)
    for row, totals in zip(searches, search.totals.tolist(), strict=True):
        if not row.done:  # the context of a model that does not slide is full
            _end_all(row, totals)
    best = [[_plain(t, logprobs) for t in row.ended[: beams.n_best]] for row in searches]
    assert all(best), "each row has a text"
    return best


class _Candidate:
    """A text that goes on by one token: of which beam, with which total."""

    __slots__ = ("beam", "logprob", "token", "total")

    def __init__(self, beam: int, token: int, total: float, logprob: float) -> None:
        self.beam, self.token, self.total, self.logprob = beam, token, total, logprob


def _advance(
    row: _Row, candidates: list[_Candidate], n_tokens: int, stops: StopStrings, eos_id: int
) -> list[_Candidate]:
    """Choose the n_beams candidates that go on; those that end are kept in the row."""
    n_beams = row.beams.n_beams
    going: list[_Candidate] = []
    live: list[Written] = []
    for rank, found in enumerate([] if row.done else candidates):
        if found.total == -torch.inf or len(going) == n_beams:
            break
        text = row.live[found.beam]
        is_end = found.token == eos_id
        if not is_end:
            chances = text.logprobs or []
            text = Written([*text.ids, found.token], [*chances, found.logprob])
        if is_end or n_tokens == row.limit or stops.reached(text.ids):
            if rank < n_beams:
                row.end(text, found.total, n_tokens)
        else:
            going.append(found)
            live.append(text)
    if not going:
        row.done = True
    else:
        row.close(going[0].total, n_tokens)
    # All rows have one number of beams; what fills them up has probability 0.
    first = candidates[0]
    filler = _Candidate(first.beam, first.token, -torch.inf, -torch.inf)
    row.live = live + [(live or row.live)[0]] * (n_beams - len(live))
    return going + [filler] * (n_beams - len(going))


def _end_all(row: _Row, totals: Sequence[float]) -> None:
    for text, total in zip(row.live, totals, strict=True):
        if total > -torch.inf and text.ids:
            row.end(text, total, len(text.ids))
    row.done = True


def _plain(text: Written, logprobs: bool) -> Written:
    return text if logprobs else text._replace(logprobs=None)


class _Search:
    """The model: B rows of n beams each as B * n rows of a batch, and their totals (B, n)."""

    def __init__(
        self, model: Any, rows: Sequence[np.ndarray], n_beams: int, repetition_penalty: float
    ) -> None:
        self.model, self.n_beams = model, n_beams
        self.windows = list(rows)  # what each beam's context began with
        self.n_before = 0  # tokens of its text that these hold
        self.next_scores = NextScores(model, rows, repetition_penalty)
        self.state, self.ids, self.padding = model.begin(rows)
        self.is_first = True
        self.totals = torch.zeros(len(rows), 1, device=model.device)

    def has_room(self) -> bool:
        return bool(self.state.cache.length + self.ids.shape[1] <= self.model.max_len)

    def restart(self, live: Sequence[Sequence[Written]]) -> bool:
        """Begin again from the end of each text; False if the model does not."""
        max_len = self.model.max_len
        if not self.model.slides:
            return False
        texts = [text.ids for row in live for text in row]
        self.windows = [
            tail(np.concatenate((window, text[self.n_before :])).astype(np.int64), max_len)
            for window, text in zip(self.windows, texts, strict=True)
        ]
        self.n_before = max(map(len, texts))
        self.state, self.ids, self.padding = self.model.begin(self.windows)
        return True

    def candidates(self) -> list[list[_Candidate]]:
        """The 2 n likeliest ways to go on of each row, likeliest first.

        As many, because up to n of them may end.
        """
        features = self.model.decode(self.ids, self.state, self.padding)[:, -1]
        scores, n_rows = self.next_scores(features), len(self.totals)
        own = scores.log_softmax(dim=-1)
        searched = own
        if self.next_scores.seen is not None:
            searched = self.next_scores.penalised(scores, self.next_scores.seen).log_softmax(dim=-1)
        size, self.totals = scores.shape[-1], self.totals.to(scores.dtype)
        totals = (searched + self.next_scores.mask).view(n_rows, -1, size) + self.totals[..., None]
        best = totals.flatten(1).topk(min(2 * self.n_beams, totals[0].numel()), dim=-1)
        logprobs = own.view(n_rows, -1).gather(1, best.indices).tolist()
        parts = zip(best.values.tolist(), best.indices.tolist(), logprobs, strict=True)
        return [
            [_Candidate(i // size, i % size, t, p) for t, i, p in zip(*row, strict=True)]
            for row in parts
        ]

    def go_on(self, chosen: Sequence[Sequence[_Candidate]]) -> None:
        """Put the beams of each row in the order of what was chosen, with its tokens."""
        device, per_row = self.ids.device, self.totals.shape[1]
        order = [i * per_row + c.beam for i, row in enumerate(chosen) for c in row]
        rows = torch.tensor(order, device=device)
        if self.is_first:  # prompts were read once each
            self.state.expand(rows)
            self.is_first = False
        else:
            self.state.cache.reorder(rows)
        self.next_scores.select(rows)
        self.windows = [self.windows[i] for i in order]
        new = torch.tensor([c.token for row in chosen for c in row], device=device)
        self.next_scores.note(new)
        self.ids, self.padding = new[:, None], None
        totals = [[c.total for c in row] for row in chosen]
        self.totals = torch.tensor(totals, dtype=self.totals.dtype, device=device)

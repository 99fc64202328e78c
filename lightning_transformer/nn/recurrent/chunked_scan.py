"""Recurrences over the tokens of a row, computed chunk by chunk with products of matrices.

Within a chunk of L tokens all pairs are computed in parallel, between chunks a state is passed on:
T / L steps for T tokens, and work that grows as T L instead of T^2 (Dao & Gu 2024, section 6).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

NEVER = float("-inf")  # the logarithm of what is left after a document's end


def split(x: Tensor, size: int) -> Tensor:
    """(B, H, T, ...) -> (B, H, C, L, ...) with L = size, the last chunk filled up with zeros."""
    short = -x.shape[2] % size
    if short:
        x = F.pad(x, (0, 0) * (x.ndim - 3) + (0, short))
    return x.unflatten(2, (-1, size))


def join(x: Tensor, n_tokens: int) -> Tensor:
    """(B, H, C, L, P) -> (B, H, T, P), without what `split` added."""
    return x.flatten(2, 3)[:, :, :n_tokens]


@dataclass(frozen=True)
class Decays:
    """How much of a state is left, as products of the factors exp(log_decay) between two tokens.

    within: (B, H, C, L, L) of what token s wrote, at token t of the same chunk; 0 for s > t.
    since_start: (B, H, C, L) of the state before the chunk, at token t.
    until_end: (B, H, C, L) of what token s wrote, at the chunk's end.
    across: (B, H, C) of the state before the chunk, at its end.
    Between two documents nothing is left.
    """

    within: Tensor
    since_start: Tensor
    until_end: Tensor
    across: Tensor

    @classmethod
    def of(cls, log_decay: Tensor, documents: Tensor | None, size: int) -> "Decays":
        """log_decay (B, H, T), none above 0; documents (B, T) or None."""
        total = split(log_decay, size).cumsum(dim=-1)
        within = total[..., :, None] - total[..., None, :]
        since_start, until_end, across = total, total[..., -1:] - total, total[..., -1]
        seen = torch.ones(size, size, dtype=torch.bool, device=total.device).tril()
        if documents is not None:
            numbers = _numbers(documents, size)  # (B, 1, C, L)
            last = numbers[..., -1]
            before = F.pad(last[..., :-1], (1, 0))  # the document that the state comes from
            seen = seen & (numbers[..., :, None] == numbers[..., None, :])
            since_start = since_start.masked_fill(numbers != before[..., None], NEVER)
            until_end = until_end.masked_fill(numbers != last[..., None], NEVER)
            across = across.masked_fill(last != before, NEVER)
        within = within.masked_fill(~seen, NEVER)  # before exp, which could overflow for s > t
        return cls(within.exp(), since_start.exp(), until_end.exp(), across.exp())


def _numbers(documents: Tensor, size: int) -> Tensor:
    """(B, T) -> (B, 1, C, L), which document it is; what fills up belongs to the last."""
    begins = F.pad((documents[:, 1:] != documents[:, :-1]).int(), (1, 0))
    chunks = split(begins[:, None], size)
    return chunks.flatten(2).cumsum(dim=2).view_as(chunks)


def decayed_sums(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    *,
    documents: Tensor | None,
    state: Tensor | None,
    chunk_size: int,
) -> tuple[Tensor, Tensor]:
    """y_t = q_t S_t with S_t = exp(log_decay_t) S_{t-1} + k_t^T v_t, and the last S.

    Shape: q, k (B, G, T, N), shared by H / G heads; v (B, H, T, P); log_decay (B, H, T), or 1 where
    all are alike -> (B, H, T, P), and the state (B, H, N, P).
    """
    n_tokens, n_groups, n_heads = q.shape[2], q.shape[1], v.shape[1]
    size = min(chunk_size, n_tokens)
    decays = Decays.of(log_decay, documents, size)
    q, k, v = split(q, size), split(k, size), split(v, size)
    scores = (q @ k.mT).repeat_interleave(n_heads // n_groups, dim=1)
    y = (scores * decays.within) @ v
    # One product for all heads of a group, whose keys are the same.
    kept = (v * decays.until_end[..., None]).unflatten(1, (n_groups, -1))
    written = torch.einsum("bgcln,bghclp->bghcnp", k, kept).flatten(1, 2)
    states, state = _passed_on(written, decays.across, state)
    grouped = states.unflatten(1, (n_groups, -1))
    read = torch.einsum("bgcln,bghcnp->bghclp", q, grouped).flatten(1, 2)
    return join(y + decays.since_start[..., None] * read, n_tokens), state


def _passed_on(written: Tensor, across: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
    """The states before each chunk, (B, H, C, N, P), and the one after the last."""
    after = torch.zeros_like(written[:, :, 0]) if state is None else state
    before = []
    for new, left in zip(written.unbind(2), across.unbind(2), strict=True):
        before.append(after)
        after = left[..., None, None] * after + new
    return torch.stack(before, dim=2), after


def delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    rate: Tensor,
    log_decay: Tensor,
    *,
    documents: Tensor | None,
    state: Tensor | None,
    chunk_size: int,
) -> tuple[Tensor, Tensor]:
    """y_t = q_t S_t with S_t = a_t (I - b_t k_t^T k_t) S_{t-1} + b_t k_t^T v_t, and the last S.

    a = exp(log_decay), b = rate. What the tokens of a chunk write depends on each other: token t
    writes b_t (v_t - k_t S), where S contains what the tokens before it wrote.
    It is one triangular system for a chunk, which is solved first as if no state came before
    (Yang et al. 2024, section 3.3).

    Shape: q, k (B, H, T, N); v (B, H, T, P); rate and log_decay (B, H, T) -> (B, H, T, P), and the
    state (B, H, N, P).
    """
    n_tokens, width = q.shape[2], v.shape[-1]
    size = min(chunk_size, n_tokens)
    decays = Decays.of(log_decay, documents, size)
    q, k, v, rate = (split(x, size) for x in (q, k, v, rate))
    learnt = rate[..., None] * k
    system = (learnt @ k.mT * decays.within).tril(-1)  # its diagonal of ones is implied
    known = torch.cat((rate[..., None] * v, decays.since_start[..., None] * learnt), dim=-1)
    solved = torch.linalg.solve_triangular(system, known, upper=False, unitriangular=True)
    values, recalls = solved.split((width, k.shape[-1]), dim=-1)
    kept = (k * decays.until_end[..., None]).mT
    after = q.new_zeros(*q.shape[:2], q.shape[-1], width) if state is None else state
    rows = after.shape[:2]
    after, states, written = after.flatten(0, 1), [], []
    steps = (x.flatten(0, 1).unbind(1) for x in (values, recalls, kept, decays.across))
    for value, recall, key, left in zip(*steps, strict=True):
        states.append(after)
        written.append(torch.baddbmm(value, recall, after, alpha=-1))
        after = torch.baddbmm(left[:, None, None] * after, key, written[-1])
    before, new = (torch.stack(x, dim=1).unflatten(0, rows) for x in (states, written))
    y = decays.since_start[..., None] * (q @ before) + (q @ k.mT * decays.within) @ new
    return join(y, n_tokens), after.unflatten(0, rows)

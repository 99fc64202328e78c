"""Sampling of the next token. Each row has its own seed, independent of the rest of the batch."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.decoding.decode import Sampler, generate_tokens, greedy
from lightning_transformer.decoding.sampling import Sampling
from lightning_transformer.nn.seeds import seed_of

BLOCK = 256  # random numbers per row that are drawn and moved to the device together


def top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k highest of scores (B, V), highest first, and their places; all if k >= V."""
    highest = scores.topk(min(k, scores.shape[-1]), dim=-1)
    return highest.values, highest.indices


def keep_top_p(ordered: Tensor, p: float) -> Tensor:
    """Scores (B, C), highest first, with -inf after the first that together reach p.

    A token stays if the likelier ones have less than p together, so the likeliest always does.
    """
    reached = ordered.softmax(dim=-1).cumsum(dim=-1)
    left = ordered.clone()
    left[..., 1:].masked_fill_(reached[..., :-1] >= p, float("-inf"))
    return left


def draw(scores: Tensor, chance: Tensor) -> Tensor:
    """Token ids (B,) by inversion: the first whose cumulative softmax passes chance (B,), [0, 1).

    One number per row, because the number of draws must not depend on the vocabulary's size.
    """
    cumulative = scores.softmax(dim=-1).cumsum(dim=-1)
    passed = chance[:, None] * cumulative[:, -1:]
    ids = torch.searchsorted(cumulative, passed, right=True)[:, 0].clamp(max=scores.shape[-1] - 1)
    # Rounding, or a parallel sum that is not monotone, can point at a token that was ruled out.
    allowed = scores.gather(-1, ids[:, None])[:, 0] > float("-inf")
    return torch.where(allowed, ids, scores.argmax(dim=-1))


def keep_min_p(ordered: Tensor, p: float) -> Tensor:
    """Scores (B, C), highest first, with -inf for less than p times the likeliest's probability."""
    return ordered.masked_fill(ordered < ordered[..., :1] + math.log(p), float("-inf"))


def kept(scores: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
    """What temperature (> 0), top_k, top_p and min_p leave of scores (B, V), and its token ids.

    Both (B, C), highest first, -inf = ruled out; without a cut all scores, and None for their ids.
    """
    highest = scores.amax(dim=-1, keepdim=True)  # subtracted first: a low temperature overflows
    scores = (scores - highest) / sampling.temperature
    if sampling.top_k is None and sampling.top_p is None and sampling.min_p is None:
        return scores, None
    # Only what is left is worked on: at 50,000 tokens the rest costs more than a small model.
    ordered, ids = top_k(scores, sampling.top_k or scores.shape[-1])
    if sampling.top_p is not None and sampling.top_p < 1:
        ordered = keep_top_p(ordered, sampling.top_p)
    if sampling.min_p is not None:
        ordered = keep_min_p(ordered, sampling.min_p)
    return ordered, ids


def choose(scores: Tensor, sampling: Sampling, chance: Tensor) -> Tensor:
    """Token ids (B,) for scores (B, V): what `kept` leaves, drawn with chance."""
    left, ids = kept(scores, sampling)
    if ids is None:
        return draw(left, chance)
    return ids.gather(-1, draw(left, chance)[:, None])[:, 0]


def probabilities(scores: Tensor, sampling: Sampling) -> Tensor:
    """(B, V): how likely `choose` draws each token, or, at temperature 0, 1 for the likeliest."""
    if sampling.temperature == 0:
        return F.one_hot(scores.argmax(dim=-1), scores.shape[-1]).to(scores.dtype)
    left, ids = kept(scores, sampling)
    chances = left.softmax(dim=-1)
    return chances if ids is None else torch.zeros_like(scores).scatter(-1, ids, chances)


def row_seed(seed: int, *place: int) -> int:
    """A seed for each place, for example the numbers of a prompt and of a sample."""
    return seed_of(" ".join(map(str, (seed, *place))))


def make_sampler(sampling: Sampling, seeds: Sequence[int]) -> Sampler:
    """A sampler for len(seeds) rows; greedy at temperature 0. Good for one generation.

    Torch's global random state is neither read nor changed.
    """
    return greedy if sampling.temperature == 0 else _RowSampler(sampling, seeds)


def sample_tokens(
    model: Any, rows: Sequence[np.ndarray], *, max_new_tokens: int, temperature: float = 0.0
) -> list[list[int]]:
    """Token ids per row; temperature 0 is greedy."""
    seeds = [row_seed(0, number) for number in range(len(rows))]
    sampler = make_sampler(Sampling(temperature), seeds)
    return generate_tokens(model, rows, max_new_tokens=max_new_tokens, sampler=sampler)


class _RowSampler:
    def __init__(self, sampling: Sampling, seeds: Sequence[int]) -> None:
        self.sampling = sampling
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._chances: Iterator[Tensor] = iter(())

    def __call__(self, scores: Tensor) -> Tensor:
        assert len(scores) == len(self.generators), "one seed per row"
        chance = next(self._chances, None)
        if chance is None:
            self._chances = self._block(scores.device)
            chance = next(self._chances)
        return choose(scores, self.sampling, chance)

    def _block(self, device: torch.device) -> Iterator[Tensor]:
        """BLOCK times (B,) numbers in [0, 1)."""
        rows = [torch.rand(BLOCK, generator=generator) for generator in self.generators]
        return iter(torch.stack(rows, dim=1).to(device).unbind(0))

"""Invariants 17 and 36: what is said word by word."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.decoding.sampler import choose, make_sampler
from lightning_transformer.decoding.sampling import Sampling
from lightning_transformer.nn.recurrent.base import RecurrentCache
from tests.conftest import noise, options, tiny
from tests.contracts.invariants.setting import EXACT
from tests.helpers.assembly import MAX_LEN, WORDS, assemble
from tests.helpers.refusals import is_refused

LENGTHS = (5, 3, 4)  # at least as long as the prefix of pattern=prefix
IDS = torch.randint(0, 256, (3, MAX_LEN), generator=torch.Generator().manual_seed(8))


def covering(number: int) -> set[tuple[str, str]]:
    """Each attention and each pattern at least once; other pairs for another number."""
    attentions, patterns = options("attention"), options("pattern")
    pairs = range(max(len(attentions), len(patterns)))
    return {
        (attentions[i % len(attentions)], patterns[(i + number) % len(patterns)]) for i in pairs
    }


@pytest.mark.thorough
@pytest.mark.parametrize("position", options("position"))
def test_invariant_17_cache_of_every_pair(position: str) -> None:
    decodes_as_the_full_pass(position, itertools.product(options("attention"), options("pattern")))


@pytest.mark.parametrize("position", options("position"))
def test_invariant_17_cache(position: str) -> None:
    decodes_as_the_full_pass(position, covering(options("position").index(position)))


def decodes_as_the_full_pass(position: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Prompts of unequal length read at once, then single steps until the cache is full."""
    for attention, pattern in pairs:
        choices = {"position": position, "attention": attention, "pattern": pattern}
        if is_refused("decoder_only", **choices):
            continue  # that it is refused is tested in tests/contracts/conformance
        alone = is_refused("decoder_only", attention=attention, kernel="sdpa")
        kernel = "eager" if alone else "sdpa"
        model: Any = assemble(**choices, kernel=kernel)
        rows = [ids[:n].numpy() for ids, n in zip(IDS, LENGTHS, strict=True)]
        with torch.no_grad():
            state, ids, padding = model.begin(rows)
            said = [model.decode(ids, state, padding)]
            for t in range(5, MAX_LEN):
                said.append(model.decode(IDS[:, t : t + 1], state))
            assert state.cache.length == model.max_len == MAX_LEN
            decoded = torch.cat(said, dim=1)
            for row, n in enumerate(LENGTHS):
                whole = torch.cat((IDS[row, :n], IDS[row, 5:]))[None]
                wanted = model.decoder(model.embedding(whole), ids=whole)[0]
                torch.testing.assert_close(decoded[row, 5 - n :], wanted, rtol=0, atol=EXACT)


def speaker() -> Any:
    """A decoder whose answers end, each row's at another time."""
    model: Any = tiny("position=learned", "tie_embeddings=false", "init.std=0.5")
    with torch.no_grad():
        model.task.head.weight[WORDS.eos_id] *= 2.5
    return model


PROMPTS = [np.array([n, 2 * n, 3]) if n % 2 else np.array([n]) for n in range(1, 13)]


def test_invariant_36_greedy_is_deterministic_and_a_batch_is_its_rows() -> None:
    """And rows stop at their own end-of-text, cut there."""
    model = speaker()
    together = generate_tokens(model, PROMPTS, max_new_tokens=12)
    assert together == generate_tokens(model, PROMPTS, max_new_tokens=12)
    assert together == [generate_tokens(model, [row], max_new_tokens=12)[0] for row in PROMPTS]
    assert len({len(row) for row in together}) > 2, "rows end at different places"
    assert min(map(len, together)) < 12
    for prompt, answer in zip(PROMPTS, together, strict=True):
        assert answer == by_hand(model, prompt, 12)


def by_hand(model: Any, prompt: np.ndarray, n: int) -> list[int]:
    """Without a cache: read all, take the likeliest token, append it."""
    ids, said = prompt.tolist(), []
    for _ in range(n):
        with torch.no_grad():
            features = model.decoder(model.embedding(torch.tensor([ids])))[0, -1]
        scores = model.task.head(features)
        scores[[i for i in range(WORDS.n_text, WORDS.size) if i != WORDS.eos_id]] = -torch.inf
        ids.append(int(scores.argmax()))
        if ids[-1] == WORDS.eos_id:
            break
        said.append(ids[-1])
    return said


def test_invariant_36_temperature_zero_is_greedy() -> None:
    model = speaker()
    cold = make_sampler(Sampling(0.0), range(len(PROMPTS)))
    assert generate_tokens(model, PROMPTS, max_new_tokens=8, sampler=cold) == generate_tokens(
        model, PROMPTS, max_new_tokens=8
    )


def share(scores: Tensor, sampling: Sampling, n: int = 4000) -> set[int]:
    """The tokens that n evenly spread draws find."""
    chances = (torch.arange(n, dtype=scores.dtype) + 0.5) / n
    return set(choose(scores.expand(n, -1), sampling, chances).tolist())


@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        ({"top_k": 1}, 1),
        ({"top_k": 3}, 3),
        ({"top_k": 99}, 5),
        ({"top_p": 1e-9}, 1),
        ({"top_p": 0.5}, 1),
        ({"top_p": 0.55}, 2),
        ({"top_p": 0.85}, 3),
        ({"top_p": 1.0}, 5),
        ({"top_k": 4, "top_p": 0.999}, 4),
    ],
)
def test_invariant_36_cuts_keep_the_likeliest_and_at_least_one(
    cut: dict[str, Any], kept: int
) -> None:
    chances: Sequence[float] = (0.03, 0.5, 0.12, 0.05, 0.3)
    ranked = sorted(range(5), key=lambda token: -chances[token])
    scores = torch.tensor(chances, dtype=torch.float64).log()
    assert share(scores, Sampling(1.0, **cut)) == set(ranked[:kept])


def test_invariant_36_flat_scores_keep_one() -> None:
    assert len(share(torch.zeros(7), Sampling(1.0, top_p=1e-6))) == 1
    assert share(100 * noise(7).float(), Sampling(1e-3)) == {int(noise(7).argmax())}


def beams_keep_their_pasts(position: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Rows that are repeated, exchanged and taken back decode as their own full pass."""
    for attention, pattern in pairs:
        choices = {"position": position, "attention": attention, "pattern": pattern}
        if is_refused("decoder_only", **choices):
            continue
        alone = is_refused("decoder_only", attention=attention, kernel="sdpa")
        model: Any = assemble(**choices, kernel="eager" if alone else "sdpa")
        past = [ids[:n].tolist() for ids, n in zip(IDS, LENGTHS, strict=True)]
        with torch.no_grad():
            state, ids, padding = model.begin([np.array(row) for row in past])
            model.decode(ids, state, padding)
            for order, move in (
                ([0, 0, 1, 1, 2, 2], state.expand),
                ([1, 0, 3, 3, 5, 4], state.cache.reorder),
                ([0, 0, 2, 3, 4, 4], state.cache.reorder),
            ):
                move(torch.tensor(order))
                new = IDS[0, : len(order)] + state.cache.length
                past = [[*past[i], int(token)] for i, token in zip(order, new, strict=True)]
                decoded = model.decode(new[:, None], state)[:, -1]
            recurrent = any(isinstance(c.own, RecurrentCache) for c in state.cache.layers)
            if recurrent:
                with pytest.raises(ValueError, match="takes tokens back"):
                    state.cache.check_rewind()
            for row, found in zip(past, decoded, strict=True):
                whole = torch.tensor([row])
                wanted = model.decoder(model.embedding(whole), ids=whole)[0, -1]
                torch.testing.assert_close(found, wanted, rtol=0, atol=EXACT)
            if recurrent:
                continue
            state.cache.rewind(2)
            past = [[*row[:-2], 70, 71, 72] for row in past]  # read together, as drafts are
            read = model.decode(torch.tensor([[70, 71, 72]] * len(past)), state)
            for row, found in zip(past, read, strict=True):
                whole = torch.tensor([row])
                wanted = model.decoder(model.embedding(whole), ids=whole)[0, -3:]
                torch.testing.assert_close(found, wanted, rtol=0, atol=EXACT)


@pytest.mark.thorough
@pytest.mark.parametrize("position", options("position"))
def test_beams_and_drafts_of_every_pair(position: str) -> None:
    beams_keep_their_pasts(position, itertools.product(options("attention"), options("pattern")))


def test_beams_and_drafts() -> None:
    """Each attention once, with another position and pattern each where these go together."""
    patterns, positions = options("pattern"), options("position")
    for i, attention in enumerate(options("attention")):
        pattern, position = patterns[i % len(patterns)], positions[i % len(positions)]
        choices = {"position": position, "attention": attention, "pattern": pattern}
        if is_refused("decoder_only", **choices):
            pattern, position = "full", "none"
        beams_keep_their_pasts(position, [(attention, pattern)])

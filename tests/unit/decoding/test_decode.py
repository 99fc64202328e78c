from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_transformer.decoding.decode import generate, generate_tokens, greedy, stream_tokens
from lightning_transformer.decoding.sampler import make_sampler
from lightning_transformer.decoding.sampling import Sampling
from lightning_transformer.tasks.base import Batch
from tests.conftest import tiny

# Weights large enough that the model says something, and not one token for ever.
LOUD = ("tie_embeddings=false", "init=normal", "init.std=0.4", "init.embedding_std=1.0")
LENGTHS = (3, 10, 15, 16, 40)


def prompts(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, n) for n in lengths]


def no_eos(scores: Tensor) -> Tensor:
    return greedy(scores[:, :256])


def best_text_or_eos(model: Any, features: Tensor) -> int:
    """The likeliest of the 256 bytes and EOS, which is token 258."""
    scores = model.task.head(features).float()
    allowed = [*range(256), 258]
    return allowed[int(scores[allowed].argmax())]


@torch.no_grad()
def continue_by_hand(model: Any, row: Sequence[int], n: int) -> list[int]:
    """Every token from a full forward pass over all that the model remembers; no cache."""
    context = list(row)[-8:] if len(row) > 16 else list(row)
    said: list[int] = []
    while len(said) < n and 258 not in said:
        if len(context) > 16:
            context = context[-8:]
        ids = torch.tensor([context])
        features = model.features(Batch(ids, ids, torch.tensor(1), ids.numel()))
        said.append(best_text_or_eos(model, features[0, -1]))
        context.append(said[-1])
    return said[:-1] if said[-1:] == [258] else said


@torch.no_grad()
def answer_by_hand(model: Any, source: np.ndarray, n: int) -> list[int]:
    said: list[int] = []
    for _ in range(n):
        ids = torch.tensor([[257, *said]])
        batch = Batch(
            ids, ids, torch.tensor(1), ids.numel(), source_ids=torch.from_numpy(source)[None]
        )
        said.append(best_text_or_eos(model, model.features(batch)[0, -1]))
        if said[-1] == 258:
            return said[:-1]
    return said


@pytest.mark.parametrize("position", ["rope", "learned", "alibi", "sinusoidal", "none"])
@pytest.mark.parametrize("pattern", ["full", "sliding_window"])
def test_cache_and_sliding_change_nothing(position: str, pattern: str) -> None:
    window = ("pattern.window=5",) if pattern == "sliding_window" else ()
    model = tiny(f"position={position}", f"pattern={pattern}", *window, *LOUD)
    for row in prompts(3, 16, 40):
        expected = continue_by_hand(model, row.tolist(), 40)
        assert generate_tokens(model, [row], max_new_tokens=40) == [expected]


def test_the_paths_compared_are_not_trivial() -> None:
    said = generate_tokens(tiny(*LOUD), prompts(*LENGTHS), max_new_tokens=60, sampler=no_eos)
    assert all(len(set(row)) > 8 for row in said)


@pytest.mark.parametrize("sampling", [Sampling(0.0), Sampling(1.0), Sampling(0.7, 20, 0.9)])
def test_a_row_does_not_depend_on_its_batch(sampling: Sampling) -> None:
    model = tiny(*LOUD)
    rows = prompts(*LENGTHS)
    seeds = range(len(rows))
    together = generate_tokens(
        model, rows, max_new_tokens=60, sampler=make_sampler(sampling, seeds)
    )
    alone = [
        generate_tokens(model, [row], max_new_tokens=60, sampler=make_sampler(sampling, [seed]))[0]
        for row, seed in zip(rows, seeds, strict=True)
    ]
    assert together == alone


def test_a_source_does_not_depend_on_its_batch() -> None:
    model = tiny("model=encoder_decoder", *LOUD)
    rows = [np.append(row, 258) for row in prompts(1, 7, 16)]
    together = generate_tokens(model, rows, max_new_tokens=30)
    assert together == [generate_tokens(model, [row], max_new_tokens=30)[0] for row in rows]
    assert together == [answer_by_hand(model, row, 17) for row in rows]


@pytest.mark.parametrize("chosen", [(), ("attention=linear", "position=none"), ("block=canon",)])
def test_rows_with_limits_of_their_own_are_cut_there(chosen: tuple[str, ...]) -> None:
    """Most end early and are left out of the batch; the model slides with those that go on."""
    model, rows = tiny(*chosen, *LOUD), prompts(3, 10, 15, 16, 40, 7)
    limits = [1, 30, 4, 2, 25, 3]
    alone = [generate_tokens(model, [row], max_new_tokens=30)[0] for row in rows]
    wanted = [text[:n] for text, n in zip(alone, limits, strict=True)]
    assert sum(len(text) == n for text, n in zip(wanted, limits, strict=True)) >= 4
    assert generate_tokens(model, rows, max_new_tokens=limits) == wanted


def test_sources_with_limits_of_their_own_are_cut_there(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("model=encoder_decoder", "task=seq2seq", *LOUD)
    rows, limits, sizes = prompts(3, 9, 5, 14), [2, 3, 14, 1], []
    alone = [generate_tokens(model, [row], max_new_tokens=14)[0] for row in rows]
    decode = type(model).decode
    monkeypatch.setattr(type(model), "decode", lambda *a: sizes.append(len(a[1])) or decode(*a))
    written = generate(model, rows, max_new_tokens=limits, logprobs=True)
    assert [w.ids for w in written] == [t[:n] for t, n in zip(alone, limits, strict=True)]
    assert [len(w.logprobs or []) for w in written] == list(map(len, (w.ids for w in written)))
    assert sizes[:4] == [4, 4, 2, 1]


def test_greedy_is_deterministic_and_equals_temperature_zero() -> None:
    model = tiny(*LOUD)
    first = generate_tokens(model, prompts(4, 9), max_new_tokens=30)
    assert first == generate_tokens(model, prompts(4, 9), max_new_tokens=30)
    zero = make_sampler(Sampling(temperature=0.0), [1, 2])
    assert first == generate_tokens(model, prompts(4, 9), max_new_tokens=30, sampler=zero)


def test_each_row_stops_at_its_own_eos() -> None:
    model = tiny(*LOUD)
    free = generate_tokens(model, prompts(3, 5, 7), max_new_tokens=30, sampler=no_eos)
    step = iter(range(100))

    def stops(scores: Tensor) -> Tensor:
        """Row 0 ends at step 4, row 1 at step 0, row 2 at step 25, in the third window."""
        now, ids = next(step), no_eos(scores)
        return ids.masked_fill(torch.tensor([now == 4, now == 0, now == 25]), 258)

    columns = list(stream_tokens(model, prompts(3, 5, 7), max_new_tokens=30, sampler=stops))
    assert len(columns) == 26
    rows = torch.stack(columns, dim=1).tolist()
    for row, whole, end in zip(rows, free, (4, 0, 25), strict=True):
        assert row == whole[:end] + [258] * (26 - end)
    step = iter(range(100))
    cut = generate_tokens(model, prompts(3, 5, 7), max_new_tokens=30, sampler=stops)
    assert cut == [free[0][:4], [], free[2][:25]]


def test_special_tokens_are_never_said() -> None:
    model = tiny(*LOUD)

    def last_of_the_allowed(scores: Tensor) -> Tensor:
        assert torch.isinf(scores[:, [256, 257, 259, 260, 261]]).all()
        assert torch.isfinite(scores[:, [*range(256), 258]]).all()
        return greedy(scores)

    assert (
        len(generate_tokens(model, prompts(3), max_new_tokens=3, sampler=last_of_the_allowed)[0])
        == 3
    )


def test_an_encoder_decoder_stops_when_it_is_full() -> None:
    model = tiny("model=encoder_decoder", *LOUD)
    assert model.max_len == 17
    said = generate_tokens(model, prompts(5, 9), max_new_tokens=100, sampler=no_eos)
    assert [len(row) for row in said] == [17, 17]


def test_a_decoder_goes_on_past_its_memory() -> None:
    said = generate_tokens(tiny(*LOUD), prompts(16), max_new_tokens=100, sampler=no_eos)
    assert len(said[0]) == 100


def test_a_memory_of_one_token_is_enough() -> None:
    model = tiny(*LOUD, "data.seq_len=1")
    assert len(generate_tokens(model, prompts(4), max_new_tokens=9, sampler=no_eos)[0]) == 9


def test_no_rows_and_empty_rows() -> None:
    model = tiny(*LOUD)
    assert generate_tokens(model, [], max_new_tokens=5) == []
    with pytest.raises(AssertionError, match="empty prompt"):
        generate_tokens(model, [np.array([], dtype=np.int64)], max_new_tokens=5)


def test_the_caller_keeps_its_random_state_and_its_gradients() -> None:
    model = tiny(*LOUD)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    sampler = make_sampler(Sampling(1.0), [1])
    for _ in stream_tokens(model, prompts(3), max_new_tokens=20, sampler=sampler):
        assert torch.is_grad_enabled()
    assert torch.equal(before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state()[1]).all()

"""Speculative decoding writes what the model writes by itself."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from lightning_transformer.decoding.decode import generate
from lightning_transformer.decoding.sampler import probabilities
from lightning_transformer.decoding.sampling import Sampling
from lightning_transformer.decoding.speculative import check_draft, speculative_tokens
from tests.conftest import tiny
from tests.unit.decoding.table_model import END, TableModel

LOUD = ("tie_embeddings=false", "init=normal", "init.std=0.4", "init.embedding_std=1.0")
GREEDY = Sampling(0.0)


def spoken(model: Any, draft: Any, row: np.ndarray, n: int, **options: Any) -> list[int]:
    options = {"sampling": GREEDY, "seed": 1} | options
    return [t for t, _ in speculative_tokens(model, draft, row, max_new_tokens=n, **options)]


@pytest.mark.parametrize("sampling", [Sampling(1.0), Sampling(0.7, top_k=3, min_p=0.1)])
def test_texts_have_the_distribution_of_the_model(sampling: Sampling) -> None:
    model, draft, n, n_draws = TableModel(5, 0.8), TableModel(6, 0.8), 3, 1000
    prompt = np.array([0, 1])
    expected: dict[tuple[int, ...], float] = {}
    for text in [
        *((*t, END) for k in range(n) for t in itertools.product(range(3), repeat=k)),
        *itertools.product(range(3), repeat=n),
    ]:
        known, p = prompt.tolist(), 1.0
        for token in text:
            scores = model.table[known[-2], known[-1]][None]
            p *= float(probabilities(scores, sampling)[0, token])
            known.append(token)
        ended = tuple(t for t in text if t != END)
        expected[ended] = expected.get(ended, 0.0) + p
    assert sum(expected.values()) == pytest.approx(1.0)
    found = Counter(
        tuple(spoken(model, draft, prompt, n, sampling=sampling, seed=seed, n_draft=2))
        for seed in range(n_draws)
    )
    assert not [text for text in found if expected[text] == 0]
    common = [text for text, p in expected.items() if p * n_draws >= 5]
    rest = n_draws - sum(found[text] for text in common)
    left = 1 - sum(expected[text] for text in common)
    counts, wanted = [found[t] for t in common], [n_draws * expected[t] for t in common]
    if left * n_draws >= 5:
        counts, wanted = [*counts, rest], [*wanted, left * n_draws]
    wanted = [w * sum(counts) / sum(wanted) for w in wanted]
    assert len(counts) > 5
    # Fixed seeds: the draft's own distribution gives p below 1e-20 here.
    assert chisquare(counts, wanted).pvalue > 0.01


@pytest.mark.parametrize("n_draft", [1, 5])
@pytest.mark.parametrize(
    "more",
    [(), ("position=learned", "pattern=sliding_window", "pattern.window=5"), ("attention=mla",)],
)
def test_greedy_is_greedy_token_by_token(n_draft: int, more: tuple[str, ...]) -> None:
    """Past the context of the model, and of a draft with a shorter one."""
    model, draft = tiny(*LOUD, *more), tiny(*LOUD, "model.n_layers=1", "data.seq_len=11", "seed=2")
    for length in (3, 40):
        row = np.arange(length) + 60
        (wanted,) = generate(model, [row], max_new_tokens=25, logprobs=True)
        found = list(
            speculative_tokens(
                model, draft, row, max_new_tokens=25, sampling=GREEDY, seed=1, n_draft=n_draft
            )
        )
        assert [token for token, _ in found] == wanted.ids
        assert [p for _, p in found] == pytest.approx(wanted.logprobs)
        assert spoken(model, model, row, 25, n_draft=n_draft) == wanted.ids


def test_sources_penalty_and_stop_strings() -> None:
    shape = ("model=encoder_decoder", *LOUD)
    model, draft = tiny(*shape), tiny(*shape, "model.n_decoder_layers=1", "seed=2")
    row = np.append(np.arange(9) + 70, 258)
    options: dict[str, Any] = {"repetition_penalty": 1.5}
    (free,) = generate(model, [row], max_new_tokens=30, **options)
    assert len(free.ids) > 4
    assert spoken(model, draft, row, 30, **options) == free.ids
    options["stop"] = [model.task.vocabulary.decode(free.ids[3:4])]
    (ended,) = generate(model, [row], max_new_tokens=30, **options)
    assert spoken(model, draft, row, 30, **options) == ended.ids
    assert len(ended.ids) <= 4


def test_a_draft_that_does_not_fit_is_refused() -> None:
    model = tiny(*LOUD)
    check_draft(model, tiny("model.n_layers=1"))
    with pytest.raises(ValueError, match="model=EncoderDecoder for model=DecoderOnly"):
        check_draft(model, tiny("model=encoder_decoder"))
    with pytest.raises(ValueError, match="another vocabulary, of 4 tokens for 262"):
        check_draft(model, TableModel(1))
    recurrent = tiny(*LOUD, "attention=mamba2", "position=none")
    with pytest.raises(ValueError, match="takes tokens back, and a recurrent layer"):
        spoken(recurrent, model, np.arange(3), 20)

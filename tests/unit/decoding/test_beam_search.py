"""Beam search: against every text there is, against Hugging Face, and its options."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lightning_transformer.decoding.beam_search import beam_search
from lightning_transformer.decoding.decode import generate
from lightning_transformer.decoding.sampling import Beams
from tests.conftest import tiny
from tests.helpers.model_folders import model_of, save
from tests.helpers.started import started
from tests.unit.decoding.table_model import END, TableModel

LOUD = ("tie_embeddings=false", "init=normal", "init.std=0.4", "init.embedding_std=1.0")
PROMPTS = [np.array([0, 1]), np.array([2, 0])]


def every_text(n: int) -> list[tuple[int, ...]]:
    """All texts of up to n tokens that end, and all of n that do not."""
    ended = [(*text, END) for k in range(n) for text in itertools.product(range(3), repeat=k)]
    return [*ended, *itertools.product(range(3), repeat=n)]


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0, -1.0])
def test_with_room_for_all_texts_it_finds_the_best(length_penalty: float) -> None:
    model, n = TableModel(1), 4
    beams = Beams(3**n, length_penalty, n_best=5)
    found = beam_search(model, PROMPTS, beams, max_new_tokens=n, logprobs=True)
    for prompt, texts in zip(PROMPTS, found, strict=True):
        scores = {
            text: model.logprob(prompt.tolist(), text) / len(text) ** length_penalty
            for text in every_text(n)
        }
        best = sorted(scores, key=lambda text: -scores[text])[:5]
        assert [text.ids for text in texts] == [[t for t in text if t != END] for text in best]
        assert [text.score for text in texts] == pytest.approx([scores[text] for text in best])
        for text in texts:
            whole = sum(text.logprobs or [])
            assert whole == pytest.approx(model.logprob(prompt.tolist(), tuple(text.ids)))


def test_each_row_has_its_own_limit_and_no_other_row_changes_it() -> None:
    model, beams = TableModel(2), Beams(3, 0.5, 2)
    together = beam_search(model, PROMPTS, beams, max_new_tokens=[2, 6])
    for row, limit, texts in zip(PROMPTS, (2, 6), together, strict=True):
        assert beam_search(model, [row], beams, max_new_tokens=limit) == [texts]
    assert max(len(text.ids) for text in together[0]) <= 2


def test_a_stop_string_ends_a_text() -> None:
    model = TableModel(3)
    ((text,),) = beam_search(model, PROMPTS[:1], Beams(4, 0.0), max_new_tokens=9, stop=["b"])
    assert 1 not in text.ids[:-1]
    assert text.ids[-1:] == [1] or len(text.ids) < 9


def test_the_penalty_lowers_what_was_there() -> None:
    model, options = TableModel(4), {"max_new_tokens": 8}
    model.table[..., END] = -20.0
    plain = beam_search(model, PROMPTS, Beams(3), **options)
    varied = beam_search(model, PROMPTS, Beams(3), repetition_penalty=50.0, **options)
    first = generate(model, PROMPTS, repetition_penalty=50.0, **options)
    assert [t[0].ids for t in plain] != [t[0].ids for t in varied]
    assert all(set(t[0].ids) | set(p) == {0, 1, 2} for t, p in zip(varied, PROMPTS, strict=True))
    assert all(text.ids for text in first)


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5"])
def test_equals_hugging_face(name: str, tmp_path: Path) -> None:
    theirs = model_of(name).eval()
    model, _, _ = started(save(theirs, tmp_path / name))
    words = model.task.vocabulary
    barred = [i for i in words.special_ids.tolist() if i != words.eos_id]
    rows = [np.arange(3, 9), np.arange(11, 17)]
    ids = torch.from_numpy(np.stack(rows))
    for length_penalty in (0.0, 1.3):
        wanted: Any = theirs.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            num_beams=4,
            num_return_sequences=3,
            length_penalty=length_penalty,
            early_stopping="never",
            max_new_tokens=7,
            do_sample=False,
            eos_token_id=words.eos_id,
            pad_token_id=words.pad_id,
            decoder_start_token_id=words.bos_id if model.has_source else None,
            suppress_tokens=barred,
            output_scores=True,
            return_dict_in_generate=True,
        )
        beams = Beams(4, length_penalty, 3)
        found = beam_search(model, rows, beams, max_new_tokens=7)
        texts = [text for row in found for text in row]
        skip = 1 if model.has_source else ids.shape[1]
        for text, row in zip(texts, wanted.sequences[:, skip:].tolist(), strict=True):
            end = row.index(words.eos_id) if words.eos_id in row else len(row)
            assert text.ids == row[:end]
        scores = [text.score for text in texts]
        assert scores == pytest.approx(wanted.sequences_scores.tolist(), abs=1e-4)
    assert len({tuple(text.ids) for text in texts}) == 6


@pytest.mark.parametrize(
    "more",
    [(), ("attention=mamba2", "position=none"), ("attention=forgetting", "block=canon")],
)
def test_a_row_does_not_depend_on_its_batch_also_past_the_context(more: tuple[str, ...]) -> None:
    model = tiny(*LOUD, *more)
    rows = [np.arange(n) + 60 for n in (3, 15, 40)]
    beams = Beams(3, 1.0, 2)
    together = beam_search(model, rows, beams, max_new_tokens=20)
    for row, texts in zip(rows, together, strict=True):
        (alone,) = beam_search(model, [row], beams, max_new_tokens=20)
        assert [text.ids for text in alone] == [text.ids for text in texts]
        assert [text.score for text in alone] == pytest.approx([text.score for text in texts])
    assert max(len(text.ids) for row in together for text in row) == 20


def test_no_rows() -> None:
    assert beam_search(TableModel(1), [], Beams(), max_new_tokens=3) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_beams": 1}, "n_beams=1 must be at least 2, for example 4"),
        ({"n_beams": 2, "n_best": 3}, "n_best=3 must be at most n_beams=2"),
        ({"length_penalty": float("nan")}, "length_penalty=nan must be a number"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Beams(**options)

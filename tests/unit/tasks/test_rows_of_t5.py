"""Rows of pairs and of corrupted text as T5 has them, with a folder of T5's own tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from torch.nn.functional import cross_entropy

from lightning_transformer.build import build_model
from lightning_transformer.convert.families.t5 import convert
from lightning_transformer.data.examples import Pair, Tokens
from lightning_transformer.data.tokenizers.file import load_vocabulary
from lightning_transformer.data.tokenizers.pretrained import Pretrained
from lightning_transformer.look.readable import PLAIN, readable
from lightning_transformer.tasks.predict import PredictOptions
from lightning_transformer.tasks.seq2seq import TeacherForcing
from lightning_transformer.tasks.span_corruption import CorruptSpans, hidden_spans
from tests.conftest import TINY, compose_config
from tests.helpers.model_folders import N_ROWS, model_of, save
from tests.unit.convert.reference import scores

N_MARKS = 4
PAD, START, END = 0, 0, 6  # of the folder's config.json


@pytest.fixture(scope="module")
def theirs() -> Any:
    return model_of("t5")


@pytest.fixture(scope="module")
def folder(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("t5")
    return save(theirs, place, around=None, n_marks=N_MARKS)


@pytest.fixture(scope="module")
def mine(theirs: Any, folder: Path) -> Any:
    """Their model as ours, by the tokens of the folder."""
    sizes = ("position.n_buckets=8", "position.max_distance=20", "ffn.hidden_mult=2.0")
    task = ("task=span_corruption", f"task.n_marks={N_MARKS}", "data.seq_len=12")
    cfg = compose_config(*TINY, "preset=t5", "model.n_encoder_layers=2", *sizes, *task)
    cfg.model.n_decoder_layers = 2
    words = Pretrained(path=str(folder)).train([])
    model = build_model(cfg, vocabulary=words, labels=[], seed=1)
    weights = convert(theirs.state_dict(), theirs.config.to_dict())
    weights.setdefault("task.head.weight", weights["embedding.weight"])
    model.load_state_dict(weights)
    return model.float().eval()


def library(folder: Path) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


def marks(folder: Path) -> list[int]:
    found = [library(folder).token_to_id(f"<extra_id_{i}>") for i in range(N_MARKS)]
    assert found == sorted(found, reverse=True)  # as in T5: the first has the highest id
    return found


def loss(theirs: Any, batch: Any) -> float:
    """What Hugging Face makes of source and labels, which it shifts by itself."""
    labels = batch.labels.long()
    counts = labels != -100
    assert torch.equal(theirs._shift_right(labels)[counts], batch.input_ids[counts])
    mask = None if batch.source_padding is None else (~batch.source_padding).long()
    with torch.no_grad():
        return float(theirs(input_ids=batch.source_ids, attention_mask=mask, labels=labels).loss)


def test_marks_are_those_of_the_model(folder: Path, mine: Any) -> None:
    words = mine.task.vocabulary
    assert words.mark_ids.tolist() == marks(folder)
    assert words.size == N_ROWS == mine.embedding.num_embeddings
    assert words.decode([*words.encode("a"), marks(folder)[1], END]) == "a<extra_id_1>"
    assert readable([marks(folder)[2]], words, PLAIN) == ["<extra_id_2>"]
    # A text that spells one is ordinary text.
    assert not set(words.encode("the <extra_id_0> fox").tolist()) & set(marks(folder))


def test_corrupted_rows_by_hand(folder: Path, mine: Any, theirs: Any) -> None:
    text = "the quick brown fox jumps over a lazy dog and the fox jumps"
    ids = library(folder).encode(text).ids
    assert len(ids) == 13  # one more than a row reads
    collate = mine.task.collator("train")
    n_spans = set()
    for draw in range(20):
        hidden = hidden_spans(12, 0.15, 3.0, np.random.default_rng(draw)).tolist()
        source, target = [], []
        number = -1
        for place, (token, is_hidden) in enumerate(zip(ids[:12], hidden, strict=True)):
            if is_hidden and (place == 0 or not hidden[place - 1]):
                number += 1
                source.append(marks(folder)[number])
                target.append(marks(folder)[number])
            (target if is_hidden else source).append(token)
        batch = collate([Tokens(np.array(ids))], [draw])
        assert batch.source_ids.tolist() == [[*source, END]]
        assert batch.labels.tolist() == [[*target, END]]
        assert batch.input_ids.tolist() == [[START, *target]]
        n_spans.add(number + 1)
    assert n_spans == {1}
    several = CorruptSpans(
        0.4, 2.0, marks=mine.task.vocabulary.mark_ids, n_text=N_ROWS, special=(START, END, PAD)
    )
    source, target = several.sides(Tokens(np.array(ids)), 3)
    assert [i for i in source if i in marks(folder)] == marks(folder)[:2]
    assert [i for i in target if i in marks(folder)] == marks(folder)[:2]


def test_no_end_of_document_is_hidden(mine: Any) -> None:
    ids = np.arange(7, 20)
    ids[::3] = END
    for draw in range(30):
        batch = mine.task.collator("train")([Tokens(ids)], [draw])
        assert (batch.labels[0, :-1] != END).all()


def test_losses_are_those_of_hugging_face(mine: Any, theirs: Any) -> None:
    rows = [Tokens(np.arange(7 + k, 20 + k)) for k in range(3)]
    batch = mine.task.collator("train")(rows, [1, 2, 3])
    mask = {"source_ids": batch.source_ids, "source_padding": batch.source_padding}
    found = cross_entropy(
        scores(mine, batch.input_ids, **mask).flatten(0, 1), batch.labels.flatten()
    )
    assert float(found) == pytest.approx(loss(theirs, batch), abs=1e-5)


def test_rows_of_pairs_by_hand(folder: Path, theirs: Any) -> None:
    words = Pretrained(path=str(folder)).train([])
    pair = Pair(words.encode("the quick fox"), words.encode("a lazy dog jumps"))
    collate = TeacherForcing(words.bos_id, words.eos_id, words.pad_id, words.before)
    batch = collate([pair, Pair(pair.target, pair.source)], [0, 0])
    source, target = (library(folder).encode(t).ids for t in ("the quick fox", "a lazy dog jumps"))
    assert batch.source_ids.tolist() == [[*source, END, PAD], [*target, END]]
    assert batch.labels.tolist() == [[*target, END], [*source, END, -100]]
    assert batch.input_ids.tolist() == [[START, *target], [START, *source, PAD]]
    assert np.isfinite(loss(theirs, batch))


def test_a_text_with_gaps_is_filled_without_a_mask_token(folder: Path, mine: Any) -> None:
    """T5 has none; an output that begins with a mark goes where it stands."""
    special = {k: v for k, v in mine.task.vocabulary.special.items() if k != "mask_id"}
    task = mine.task
    whole = task.vocabulary.special
    task.vocabulary.special = special
    had = task.vocabulary.__dict__.pop("mask_id", None)
    try:
        ids = task.encode_input("the [MASK] fox [MASK]")
        encode = library(folder).encode
        wanted = [*encode("the").ids, marks(folder)[0], *encode("fox").ids, marks(folder)[1], END]
        assert ids.tolist() == wanted
        said: list[str] = []
        output = [marks(folder)[0], *encode("quick brown").ids]
        found = task._filled({0: ids[:-1]}, PredictOptions(remark=said.append), 0, output)
        assert found == "the quick brown fox[MASK]"
        assert said == ["prompt 1: the model left 1 [MASK] open"]
    finally:
        task.vocabulary.special = whole
        if had is not None:
            task.vocabulary.mask_id = had


def test_a_saved_vocabulary_has_the_marks_again(folder: Path, tmp_path: Path) -> None:
    words = Pretrained(path=str(folder)).train([])
    names = [f"<extra_id_{i}>" for i in range(N_MARKS)]
    words.with_marks(names).save(tmp_path / "tokenizer.json")
    again = load_vocabulary(tmp_path / "tokenizer.json")
    assert again.mark_ids.tolist() == []
    assert again.with_marks(names).mark_ids.tolist() == marks(folder)


def test_a_model_without_enough_marks_is_refused(folder: Path) -> None:
    words = Pretrained(path=str(folder)).train([])
    wanted = [f"<extra_id_{i}>" for i in range(9)]
    with pytest.raises(ValueError, match=r"model has 4; it lacks <extra_id_4>;.*task.n_marks=4"):
        words.with_marks(wanted)
    with pytest.raises(ValueError, match=r"has 0; it lacks <PRE>; add rows by 'tokenizer.add="):
        words.with_marks(["<PRE>"])
    with pytest.raises(ValueError, match=r"it lacks <0>; use fewer by task.n_marks=16, or choose"):
        words.with_marks([f"<{i}>" for i in range(17)])
    with pytest.raises(ValueError, match="lacks the"):  # a word of text is no mark
        words.with_marks(["the"])

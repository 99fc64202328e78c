"""Source conll on files of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_transformer.data.encode import NO_TAG
from lightning_transformer.data.sources.conll import CoNLL, sentence
from lightning_transformer.data.split import Record
from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    path = folder / "names.conll"
    path.write_text("".join(f"Ada B-PER\nsaw O\nParis{i} B-LOC\n\n" for i in range(400)))
    return {"path": path}


CONTENT = """-DOCSTART- -X- O

Zoë NNP B-PER
lives VBZ O
in IN O
Rome NNP B-LOC

-DOCSTART- -X- O

Yes\tUH\tO


"""


@pytest.fixture
def write(tmp_path):
    def writer(content: str, name: str = "f.conll") -> str:
        (tmp_path / name).write_text(content)
        return str(tmp_path / name)

    return writer


def make(path: str, **options) -> CoNLL:
    options = {"tokenizer": Bytes(), "val_fraction": 0.0, "test_fraction": 0.0, **options}
    return CoNLL(path=path, **options)


def test_words_are_joined_and_tags_sit_on_their_first_characters():
    assert sentence(["ab", "c"], ["X", "Y"]) == Record(("ab c",), [[0, "X"], [3, "Y"]])


def test_sentences_by_hand(write):
    data = make(write(CONTENT))
    data.prepare()
    first, second = first_examples(data, "train", 9)
    assert data.labels == ["B-LOC", "B-PER", "O"]
    assert data.vocabulary.decode(first.ids) == "Zoë lives in Rome"
    # ë takes two bytes, so words start at bytes 0, 5, 11 and 14
    assert np.flatnonzero(first.tags != -100).tolist() == [0, 5, 11, 14]
    assert first.tags[[0, 5, 11, 14]].tolist() == [1, 2, 2, 0]
    assert data.vocabulary.decode(second.ids) == "Yes"
    assert second.tags.tolist() == [2, -100, -100]


def test_other_columns(write):
    data = make(write(CONTENT), word_column=1, tag_column=0)
    data.prepare()
    assert data.vocabulary.decode(first_examples(data, "train", 1)[0].ids) == "NNP VBZ IN NNP"
    assert data.labels == ["Rome", "Yes", "Zoë", "in", "lives"]


def test_subwords_carry_one_tag_per_word(write):
    data = make(write(CONTENT * 3), tokenizer=BPE(vocab_size=280))
    data.prepare()
    example = first_examples(data, "train", 1)[0]
    assert (example.tags != -100).sum() == 4
    assert data.vocabulary.decode(example.ids) == "Zoë lives in Rome"


def test_long_sentences_are_cut_with_their_tags(write):
    data = make(write(CONTENT), seq_len=6)
    data.prepare()
    assert first_examples(data, "train", 1)[0].tags.tolist() == [1, -100, -100, -100, -100, 2]


def test_equal_sentences_stay_together_and_given_files_are_used(write):
    content = "".join(f"word{i % 40} X\n\n" for i in range(200))
    data = make(write(content), val_fraction=0.3, test_path=write("new X\n", "test"))
    records = data.read()
    texts = {split: {r.texts[0] for r in part} for split, part in records.items()}
    assert texts["test"] == {"new"}
    assert not texts["train"] & texts["val"]
    assert len(texts["train"] | texts["val"]) == 40


@pytest.mark.parametrize(
    ("content", "options", "match"),
    [
        ("a X\nb\n", {"tag_column": 1}, r"f.conll:2: 1 columns, so data.tag_column=1 does not"),
        ("a X\n", {"word_column": -3}, r"data.word_column=-3 does not exist; valid are 0 to 1"),
        ("\n\n", {}, "data.train is empty"),
    ],
)
def test_mistakes_are_refused(write, content, options, match):
    with pytest.raises(ValueError, match=match):
        make(write(content), **options).prepare()


def test_a_tag_that_training_lacks_is_refused(write):
    data = make(write("a X\n"), val_path=write("b NEW\n", "val"))
    with pytest.raises(ValueError, match="tag 'NEW' in the val split is not among the known: X"):
        data.prepare()


def test_sentences_are_of_the_document_that_is_announced(write):
    first, second = make(write(CONTENT)).read()["train"]
    assert first.document != second.document
    (alone,) = make(write("Yes UH O\n", "g")).read()["train"]
    assert alone.document is None


def test_several_files_are_one_corpus(write, tmp_path):
    write("a X\n", "1.conll")
    write("b X\n", "2.conll")
    records = make(str(tmp_path / "*.conll")).read()["train"]
    assert [record.texts for record in records] == [("a",), ("b",)]


def test_no_word_of_a_test_is_lost_and_none_counts_twice(tmp_path: Path) -> None:
    long = "".join(f"word{i} {'B-X' if i % 5 == 0 else 'O'}\n" for i in range(40))
    file, test = tmp_path / "train.conll", tmp_path / "test.conll"
    file.write_text(long + "\nshort O\n")
    test.write_text(long + "\nshort O\n\n" + long)
    data = CoNLL(tokenizer=Bytes(), path=str(file), test_path=str(test), val_fraction=0, seq_len=30)
    data.prepare()
    split = data.splits["test"]
    assert max(split.lengths) == 30
    tags = [int(t) for i in range(len(split)) for t in split.get(i, 0).tags if t != NO_TAG]
    assert len(tags) == 81
    assert sum(data.labels[t] == "B-X" for t in tags) == 16

"""Tokenizer option bpe."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tokenizers

from lightning_transformer.data.tokenizers import subword
from lightning_transformer.data.tokenizers.bpe import BPE

TEXT = "low lower lowest new newer newest wide wider widest\n" * 20


def test_merges_frequent_pairs_up_to_the_size():
    vocabulary = BPE(vocab_size=270).train([TEXT])
    assert vocabulary.n_text == 270
    assert len(vocabulary.encode(TEXT)) < 0.6 * len(TEXT)


def test_a_small_text_gives_fewer_ids():
    vocabulary = BPE(vocab_size=4096, min_frequency=2).train(["ab ab"])
    assert vocabulary.n_text == 257  # "ab", once; " ab" occurs once only
    assert vocabulary.id_bytes[vocabulary.encode("ab")].tolist() == [2]


def test_min_frequency_counts():
    often = BPE(min_frequency=2).train(["ab cd ab cd ab"])
    rare = BPE(min_frequency=3).train(["ab cd ab cd ab"])
    assert often.n_text > rare.n_text


def test_training_is_repeatable(tmp_path):
    for name in ("a", "b"):
        BPE(vocab_size=300).train([TEXT]).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_library_reads_the_saved_file(tmp_path):
    vocabulary = BPE(vocab_size=300).train([TEXT])
    vocabulary.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.encode(TEXT).ids == vocabulary.encode(TEXT).tolist()
    assert json.loads((tmp_path / "tokenizer.json").read_text())["model"]["type"] == "BPE"


def test_pieces_of_a_long_text_have_the_tokens_of_the_whole(monkeypatch):
    lines = ["low.\n\n  lower", "new\n", "\n\nwide  \n", "9\n\tnewest", "a\nb", "é\n", ")\n\n\n"]
    text = "\n".join(np.random.default_rng(0).choice(lines, 300))
    vocabulary = BPE(vocab_size=400).train([text])  # with merges of white space and of ".\n"
    whole = vocabulary.encode(text)
    monkeypatch.setattr(subword, "PIECE", 20)
    parts = subword.pieces(text)
    assert len(parts) > 20
    assert "".join(parts) == text
    assert np.array_equal(vocabulary.encode(text), whole)


def test_pieces_of_a_text_without_lines_is_the_text():
    text = "x" * (3 * subword.PIECE)
    assert subword.pieces(text) == [text]
    assert subword.pieces("") == [""]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 256}, "vocab_size=256 must be at least 257"),
        ({"min_frequency": 0}, "min_frequency=0 must be at least 1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BPE(**options)

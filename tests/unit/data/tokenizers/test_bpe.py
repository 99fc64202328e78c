"""Tokenizer option bpe."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tokenizers

from lightning_transformer.data import pieces
from lightning_transformer.data.tokenizers.bpe import BPE, spread_evenly

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
    monkeypatch.setattr(pieces, "PIECE", 20)
    parts = list(pieces.cut([text], vocabulary.cuts))
    assert len(parts) > 20
    assert "".join(parts) == text
    assert np.array_equal(vocabulary.encode(text), whole)


@pytest.mark.parametrize("n", [1, 2, 3, 63, 64, 65, 1000, 4097])
def test_much_text_is_learned_from_at_even_distances(n):
    texts = [f"{number:05}" for number in range(n)]
    kept, step = spread_evenly(iter(texts), 64 * 55)  # 5 of its own and 50 for the object
    assert kept == texts[::step]
    assert step == 1 or 32 <= len(kept) <= 64
    assert (step == 1) == (n <= 64)


def test_a_text_longer_than_the_limit_is_learned_from():
    assert spread_evenly(["x" * 1000], 10) == (["x" * 1000], 1)


def test_memory_does_not_grow_with_the_text():
    alive = 0

    class Text(str):
        def __new__(cls, content):
            nonlocal alive
            alive += 1
            assert alive <= 70
            return super().__new__(cls, content)

        def __del__(self):
            nonlocal alive
            alive -= 1

    assert len(spread_evenly((Text(f"{i:05}") for i in range(5000)), 64 * 55)[0]) > 32


def test_what_is_learned_from_part_of_the_text_is_said(caplog):
    """The words of the pieces between are not learned."""
    texts = ["low lower lowest " * 20, "zwxq" * 80] * 100
    whole = BPE(vocab_size=300).train(texts)
    with caplog.at_level("INFO"):
        part = BPE(vocab_size=300, learn_from=0.04).train(texts)
    assert "1 piece of text in 2 (tokenizer.learn_from=0.04)" in caplog.text
    assert len(whole.encode("zwxq" * 8)) < 10
    assert len(part.encode("zwxq" * 8)) == 32
    assert BPE().identity() != BPE(learn_from=0.04).identity()


def test_pieces_of_a_text_without_lines_is_the_text():
    text = "x" * (3 * pieces.PIECE)
    assert list(pieces.cut([text], pieces.BETWEEN_WORDS)) == [text]
    assert list(pieces.cut([""], pieces.BETWEEN_WORDS)) == [""]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 256}, "vocab_size=256 must be at least 257"),
        ({"min_frequency": 0}, "min_frequency=0 must be at least 1"),
        ({"learn_from": 0}, "learn_from=0 must be a positive number"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BPE(**options)

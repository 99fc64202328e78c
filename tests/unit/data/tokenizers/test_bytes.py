"""Tokenizer option bytes."""

from __future__ import annotations

import numpy as np

from lightning_transformer.data.tokenizers.bytes import Bytes


def test_ids_are_the_bytes():
    vocabulary = Bytes().train([])
    assert vocabulary.encode("aé€").tolist() == [0x61, 0xC3, 0xA9, 0xE2, 0x82, 0xAC]
    assert vocabulary.n_text == 256


def test_invalid_utf8_is_shown_as_replacement():
    assert Bytes().train([]).decode([0x61, 0xC3, 0x62]) == "a\ufffdb"
    assert Bytes().train([]).decode(np.arange(256)).startswith("\x00\x01")


def test_starts_count_characters():
    ids, starts = Bytes().train([]).encode_with_starts("aé€b")
    assert starts.tolist() == [0, 1, 1, 2, 2, 2, 3]
    assert len(ids) == 7


def test_a_lone_surrogate_is_encoded_and_shown_as_replacement():
    vocabulary = Bytes().train([])
    assert set(vocabulary.decode(vocabulary.encode("a\ud800"))[1:]) == {"\ufffd"}

"""Tokenizer option file: given tokenizer.json files of several kinds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.data.tokenizers.file import File, load_vocabulary


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this tokenizer with."""
    path = folder / "tokenizer.json"
    ByteVocabulary().save(path)
    return {"path": path}


TEXT = "the cat sat on the mat. the dog sat on the log; the end, 42 times over\n" * 5


def byte_level_with_special(path):
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=50)
    tokenizer.save(str(path))


def word_piece(path):
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=60, special_tokens=["[UNK]", "[CLS]"], show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.save(str(path))


def unigram(path):
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.save(str(path))


@pytest.fixture(params=[byte_level_with_special, word_piece, unigram])
def any_file(request, tmp_path):
    request.param(tmp_path / "tokenizer.json")
    return tmp_path / "tokenizer.json"


def test_special_ids_follow_all_of_the_given_ids(any_file):
    vocabulary = File(path=str(any_file)).train([])
    theirs = tokenizers.Tokenizer.from_file(str(any_file))
    assert vocabulary.pad_id == vocabulary.n_text == theirs.get_vocab_size()
    assert vocabulary.id_bytes.shape == (vocabulary.size,)


def test_bytes_of_ids_add_up_to_those_of_the_decoded_text(any_file):
    vocabulary = load_vocabulary(any_file)
    text = "the cat sat on the mat"
    # The first word has no space before it, which its token may count.
    assert abs(vocabulary.id_bytes[vocabulary.encode(text)].sum() - len(text)) <= 1


def test_truncation_and_padding_of_the_file_are_off(tmp_path):
    byte_level_with_special(tmp_path / "t.json")
    vocabulary = load_vocabulary(tmp_path / "t.json")
    assert vocabulary.decode(vocabulary.encode(TEXT)) == TEXT


def test_text_that_spells_a_special_token_stays_text(tmp_path):
    byte_level_with_special(tmp_path / "t.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "t.json"))
    assert theirs.token_to_id("<|end|>") in theirs.encode("a<|end|>b").ids
    vocabulary = load_vocabulary(tmp_path / "t.json")
    ids = vocabulary.encode("a<|end|>b")
    assert theirs.token_to_id("<|end|>") not in ids
    assert vocabulary.decode(ids) == "a<|end|>b"
    assert vocabulary.id_bytes[theirs.token_to_id("<|end|>")] == 0


@pytest.mark.parametrize("make", [word_piece, unigram])
def test_unknown_words_become_our_unknown_id(make, tmp_path):
    make(tmp_path / "t.json")
    vocabulary = load_vocabulary(tmp_path / "t.json")
    ids = vocabulary.encode("the Ω cat")
    assert vocabulary.unk_id in ids
    assert "\ufffd" in vocabulary.decode(ids)
    assert vocabulary.unk_id not in vocabulary.encode("the cat")


def test_byte_fallback_tokens_stand_for_one_byte(tmp_path):
    content = {f"<0x{b:02X}>": b for b in range(256)} | {"▁": 256, "a": 257}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab=content, merges=[], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.save(str(tmp_path / "t.json"))
    vocabulary = load_vocabulary(tmp_path / "t.json")
    ids = vocabulary.encode("a€")
    assert ids.tolist() == [257, 0xE2, 0x82, 0xAC]
    assert vocabulary.id_bytes[ids].tolist() == [1, 1, 1, 1]
    assert vocabulary.decode(ids) == "a€"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "tokenizer.json:1: .*expected a tokenizer.json"),
        ('{"version": "1.0"}', "is not a tokenizer.json of the tokenizers library"),
        ("[1]", "is not a tokenizer.json of the tokenizers library"),
        ('{"class": "no_such_package.Vocabulary"}', "is not part of lightning_transformer"),
        ('{"class": "pathlib.Path"}', "is not part of lightning_transformer"),
        ('{"class": "x"}', "is not part of lightning_transformer"),
        ('{"class": "lightning_transformer.data.tokenizers.bpe.BPE"}', "not a vocabulary class"),
        (
            '{"class": "lightning_transformer.data.tokenizers.file.Path"}',
            "is another name of pathl",
        ),
        ('{"class": "lightning_transformer.data.tokenizers.base.Vocabulary"}', "with from_json"),
        ('{"class": "lightning_transformer.nope.X"}', "does not exist in what is installed here"),
        (
            '{"class": "lightning_transformer.data.tokenizers.characters.CharacterVocabulary"}',
            "does not hold a CharacterVocabulary",
        ),
        ("[" * 10**5, "nested too deeply"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        File(path=str(path)).train([])
    assert "\n" not in str(caught.value)


def test_missing_file_names_the_closest(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"no such file.*closest existing name: .*tokenizer.json"):
        File(path=str(tmp_path / "tokeniser.json")).train([])


def test_saved_bytes_file_is_plain_json(tmp_path):
    from lightning_transformer.data.tokenizers.bytes import ByteVocabulary

    ByteVocabulary().save(tmp_path / "tokenizer.json")
    assert json.loads((tmp_path / "tokenizer.json").read_text()) == {
        "class": "lightning_transformer.data.tokenizers.bytes.ByteVocabulary"
    }
    assert np.array_equal(load_vocabulary(tmp_path / "tokenizer.json").encode("é"), [0xC3, 0xA9])

from __future__ import annotations

import itertools

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.data.tokenizers.subword import SubwordVocabulary
from lightning_transformer.decoding.text_stream import BROKEN, TextStream
from tests.helpers.vocabularies import trained

TEXT = "Größe, 日本語 and 👩‍👩‍👧 at 5 €\n" * 3
VOCABULARIES = trained(TEXT)


def pieces(vocabulary: Vocabulary, ids: list[int], prompt: tuple[int, ...] = ()) -> list[str]:
    stream = TextStream(vocabulary, prompt)
    return [*(stream.push([token]) for token in ids), stream.end()]


def metaspace() -> SubwordVocabulary:
    """A tokenizer whose decoder drops the space in front of the first word."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=60, show_progress=False)
    tokenizer.train_from_iterator(["the cat sat on the mat the cat"] * 5, trainer)
    return SubwordVocabulary(tokenizer)


@pytest.mark.parametrize("vocabulary", VOCABULARIES.values(), ids=VOCABULARIES.keys())
def test_characters_come_out_whole(vocabulary: Vocabulary) -> None:
    ids = vocabulary.encode(TEXT).tolist()
    given = pieces(vocabulary, ids)
    assert "".join(given) == TEXT
    assert BROKEN not in "".join(given)
    for so_far in itertools.accumulate(given):
        assert TEXT.startswith(so_far)


def test_a_character_is_shown_with_its_last_byte() -> None:
    assert pieces(ByteVocabulary(), list("a€b".encode())) == ["a", "", "", "€", "b", ""]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from([0x41, 0x80, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0xC3, 0xFF, 0x0A])))
def test_any_bytes_are_those_of_decoding_all_at_once(ids: list[int]) -> None:
    vocabulary = ByteVocabulary()
    given = pieces(vocabulary, ids, tuple(b"prompt"))
    whole = vocabulary.decode(ids)
    assert "".join(given) == whole
    for so_far in itertools.accumulate(given):
        assert whole.startswith(so_far)


def test_a_start_after_broken_bytes_is_still_completed() -> None:
    euro = list("€".encode())
    assert "".join(pieces(ByteVocabulary(), [0x80] * 9 + euro)) == BROKEN * 9 + "€"


def test_broken_bytes_do_not_pile_up() -> None:
    given = pieces(ByteVocabulary(), [0x80] * 50)
    assert "".join(given[:-1]) == BROKEN * 47
    assert given[-1] == BROKEN * 3


def test_many_tokens_at_once_are_the_same_text() -> None:
    stream = TextStream(ByteVocabulary())
    assert stream.push(TEXT.encode()) + stream.end() == TEXT


def test_a_space_after_the_prompt_is_kept() -> None:
    vocabulary = metaspace()
    prompt, more = vocabulary.encode("the cat"), vocabulary.encode("sat on the mat")
    assert vocabulary.decode(more) == "sat on the mat"
    assert "".join(pieces(vocabulary, more.tolist(), tuple(prompt))) == " sat on the mat"

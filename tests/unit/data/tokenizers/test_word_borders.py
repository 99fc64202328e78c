"""Where words begin, in the tokens of every kind of tokenizer."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tokenizers

from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.data.tokenizers.characters import CharacterVocabulary
from lightning_transformer.data.tokenizers.subword import SubwordVocabulary
from lightning_transformer.data.tokenizers.word_borders import WordBorders
from tests.helpers.vocabularies import trained

TEXT = "The quick brown fox jumps over_the lazy dog, doesn't it? (naïve) x=12\n\tand so on.\n" * 3
WORD = re.compile(r"\w+")


@pytest.mark.parametrize(("name", "vocabulary"), trained(TEXT).items())
def test_words_are_those_of_a_regular_expression(name: str, vocabulary: Vocabulary) -> None:
    ids, starts = vocabulary.encode_with_starts(TEXT)
    words = WordBorders(vocabulary).words(ids)
    assert words[0] == 0
    assert set(np.diff(words).tolist()) <= {0, 1}
    begun = {int(starts[0])} | {int(starts[i]) for i in np.flatnonzero(np.diff(words)) + 1}
    if name == "bytes":  # of a letter of two bytes, both begin at one character
        assert len(words) == len(TEXT.encode())
    for match in WORD.finditer(TEXT):
        inside = [i for i, s in enumerate(starts) if match.start() < s < match.end()]
        first = [i for i, s in enumerate(starts) if s == match.start()]
        if first:
            assert match.start() in begun, match
            assert (words[inside] == words[first[0]]).all(), match
        after = [i for i, s in enumerate(starts) if s == match.end()]
        if inside and after:
            assert words[after[0]] > words[inside[-1]], match


def test_wordpiece_marks_what_goes_on() -> None:
    tokens = ["[UNK]", "un", "##believ", "##able", "able", ",", "the"]
    model = tokenizers.models.WordPiece(
        {token: i for i, token in enumerate(tokens)}, unk_token="[UNK]"
    )
    library = tokenizers.Tokenizer(model)
    library.decoder = tokenizers.decoders.WordPiece()
    borders = WordBorders(SubwordVocabulary(library))
    ids = np.array([6, 1, 2, 3, 5, 4, 4])
    assert borders.words(ids).tolist() == [0, 1, 1, 1, 2, 3, 4]


def test_sentencepiece_marks_what_begins() -> None:
    tokens = [("<unk>", 0.0), ("▁the", -1.0), ("▁un", -1.0), ("able", -1.0), ("▁able", -1.0)]
    library = tokenizers.Tokenizer(tokenizers.models.Unigram(tokens, unk_id=0))
    library.decoder = tokenizers.decoders.Metaspace()
    borders = WordBorders(SubwordVocabulary(library))
    assert borders.words(np.array([1, 2, 3, 4])).tolist() == [0, 1, 1, 2]


def test_special_tokens_stand_alone() -> None:
    words = ByteVocabulary()
    ids = np.concatenate((words.encode("ab"), [words.eos_id, words.eos_id], words.encode("cd")))
    assert WordBorders(words).words(ids).tolist() == [0, 0, 1, 2, 3, 3]


def test_a_vocabulary_without_letters() -> None:
    words = CharacterVocabulary("+12")
    assert WordBorders(words).words(words.encode("12+2")).tolist() == [0, 0, 1, 2]

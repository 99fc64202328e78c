"""Tokenizer option characters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lightning_transformer.data.tokenizers.characters import Characters


def test_ids_are_ranks_of_the_sorted_characters():
    vocabulary = Characters().train(["cab", "€a"])
    assert vocabulary.characters == "abc€"
    assert vocabulary.encode("c€ab").tolist() == [2, 3, 0, 1]
    assert vocabulary.id_bytes.tolist() == [1, 1, 1, 3, 0, 0, 0, 0, 0, 0]


def test_other_characters_are_unknown():
    vocabulary = Characters().train(["bd"])
    unknown = vocabulary.unk_id
    # below, between, just above and far above the known ones
    assert vocabulary.encode("abcde\U0001f600").tolist() == [unknown, 0, unknown, 1] + [unknown] * 2
    assert vocabulary.decode(vocabulary.encode("b?d")) == "b\ufffdd"


def test_empty_training_text_makes_everything_unknown():
    vocabulary = Characters().train([])
    assert vocabulary.n_text == 0
    assert vocabulary.encode("ab").tolist() == [vocabulary.unk_id] * 2


@given(text=st.text(min_size=1))
def test_what_was_trained_on_round_trips(text):
    vocabulary = Characters().train([text])
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.n_text == len(set(text))

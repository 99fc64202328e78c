"""Tokens as text: nothing that is hidden, nothing that looks like something else."""

from __future__ import annotations

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.data.tokenizers.characters import CharacterVocabulary
from lightning_transformer.data.tokenizers.subword import SubwordVocabulary
from lightning_transformer.look.readable import PLAIN, Signs, readable, signs_for

BYTES = ByteVocabulary()


def test_spaces_and_line_ends_can_be_seen() -> None:
    assert readable(BYTES.encode("a b\n\t"), BYTES, Signs()) == ["a", "␣", "b", "↵", "⇥"]
    assert readable(BYTES.encode("a b\n\t"), BYTES, PLAIN) == ["a", "_", "b", "\\n", "\\t"]


def test_a_character_of_several_tokens_is_shown_at_the_first() -> None:
    assert readable(BYTES.encode("né東"), BYTES, Signs()) == ["n", "é", "‥", "東", "‥", "‥"]


def test_a_part_of_a_character_is_a_number() -> None:
    first, _ = BYTES.encode("é")
    assert readable([first, 97], BYTES, Signs()) == [f"<{first}>", "a"]
    assert readable([97, first], BYTES, Signs()) == ["a", f"<{first}>"]
    # What is asked for may have holes, over which no character goes.
    assert readable([first, -100, 169], BYTES, Signs()) == [f"<{first}>", "·", "<169>"]


def test_special_tokens_have_their_names() -> None:
    v = BYTES
    ids = [v.pad_id, v.bos_id, v.eos_id, v.mask_id, v.cls_id, v.unk_id]
    names = ["[PAD]", "[BOS]", "[EOS]", "[MASK]", "[CLS]", "[UNK]"]
    assert readable(ids, v, Signs()) == names


@pytest.mark.parametrize("hidden", ["\x1b", "\u200f", "\u00a0", "\u0301", "\x85", "\ufeff"])
def test_what_has_no_picture_or_commands_a_terminal_is_spelt_out(hidden: str) -> None:
    vocabulary = CharacterVocabulary("a" + hidden)
    for signs in (Signs(), PLAIN):
        (shown,) = readable(vocabulary.encode(hidden), vocabulary, signs)
        assert shown.isprintable()
        assert f"{ord(hidden):x}" in shown


def test_letters_that_a_console_lacks_are_spelt_out() -> None:
    assert signs_for("ascii") == PLAIN
    assert signs_for("latin-1") == PLAIN
    assert signs_for(None) == PLAIN
    assert signs_for("no such encoding") == PLAIN
    assert signs_for("utf-8") == Signs()
    assert readable(BYTES.encode("é"), BYTES, PLAIN)[0] == "\\xe9"


def test_a_subword_shows_its_leading_space() -> None:
    vocabulary = BPE(vocab_size=280).train(["the cat the cat the cat"] * 20)
    shown = readable(vocabulary.encode("the cat"), vocabulary, Signs())
    assert shown == ["the", "␣cat"]


def test_a_tokenizer_whose_decoder_strips_spaces_is_shown_as_its_file_has_it() -> None:
    own = tokenizers.Tokenizer(models.WordLevel({"▁the": 0, "▁cat": 1, "?": 2}, unk_token="?"))
    own.pre_tokenizer, own.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    vocabulary = SubwordVocabulary(own)
    shown = readable(vocabulary.encode("the cat"), vocabulary, Signs())
    assert shown == ["▁the", "▁cat"]


def test_there_is_a_text_for_each_token_whatever_the_bytes() -> None:
    ids = np.random.default_rng(0).integers(-1, BYTES.size, 3000)
    shown = readable(ids, BYTES, Signs())
    assert len(shown) == len(ids)
    assert all(text.isprintable() and text.strip() for text in shown)

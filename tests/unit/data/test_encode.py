"""From records to encoded splits."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Pair, Tagged
from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.split import Record
from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.data.tokenizers.bytes import Bytes
from lightning_transformer.data.tokenizers.characters import Characters

BYTES = Bytes().train([])


def test_documents_become_rows_with_end_of_document():
    records = [Record(("abc",)), Record(("de",))]
    rows = encode.documents("val", records, BYTES, Stream(), seq_len=4)
    assert rows.n_tokens == 7
    assert BYTES.decode(rows.get(0, 0).ids) == "abc"
    assert rows.get(0, 0).ids[[0, 4]].tolist() == [BYTES.eos_id] * 2


def test_a_short_training_split_is_refused_with_what_fits():
    match = r"train split has 4 tokens, needs >= 5 for seq_len=5; use data.seq_len=4 or less"
    with pytest.raises(ValueError, match=match):
        encode.documents("train", [Record(("abc",))], BYTES, Stream(), seq_len=5)
    assert len(encode.documents("train", [Record(("abc",))], BYTES, Stream(), seq_len=4)) == 1
    with pytest.raises(ValueError, match="train split has 1 tokens, needs >= 2; add text"):
        encode.documents("train", [Record(("",))], BYTES, Stream(), seq_len=1)
    assert len(encode.documents("val", [Record(("abc",))], BYTES, Stream(), seq_len=4)) == 1
    with pytest.raises(ValueError, match="val split has 1 tokens, needs >= 2"):
        encode.documents("val", [Record(("",))], BYTES, Stream(), seq_len=4)


def pair(m: int, n: int) -> Pair:
    return Pair(np.arange(m), np.arange(n))


def test_pairs_are_encoded_side_by_side():
    (example,) = encode.pairs([Record(("ab", "c"))], BYTES)
    assert (BYTES.decode(example.source), BYTES.decode(example.target)) == ("ab", "c")
    assert encode.example_split([example]).n_tokens == 3


def test_long_pairs_are_dropped_or_truncated_and_counted(caplog):
    examples = [pair(4, 4), pair(5, 1), pair(1, 5)]
    with caplog.at_level(logging.INFO):
        assert encode.short_pairs("train", examples, 4) == [0]
        cut = encode.truncate_pairs("train", examples, 4)
    assert [(len(e.source), len(e.target)) for e in cut] == [(4, 4), (4, 1), (1, 4)]
    assert "2 of 3 examples are longer than seq_len=4: dropped" in caplog.text
    assert "2 of 3 examples are longer than seq_len=4: truncated" in caplog.text
    assert "does not see" not in caplog.text
    assert [e.rest for e in cut] == [None] * 3


def test_a_target_is_kept_whole_for_the_scores_of_its_text():
    examples = [pair(4, 4), pair(9, 1), pair(1, 7)]
    split = encode.example_split(encode.truncate_pairs("test", examples, 4))
    assert split.n_tokens == 4 + 4 + 4 + 1 + 1 + 4
    found = [split.get(i, 0) for i in range(3)]
    assert [len(e.target) for e in found] == [4, 1, 4]
    whole = [[*e.target.tolist(), *e.rest.tolist()] for e in found]
    assert whole == [e.target.tolist() for e in examples]
    (short,) = encode.truncate_pairs("test", [pair(9, 4)], 4)
    assert short.rest is None


def test_what_scores_leave_out_is_a_warning_with_the_length_that_has_all(caplog):
    examples = [pair(4, 4), pair(5, 1), pair(1, 7)]
    with caplog.at_level(logging.WARNING):
        encode.truncate_pairs("test", examples, 4)
        encode.labelled("val", [Record(("abcdef",), "y")], BYTES, ["y"], seq_len=4)
        encode.labelled("train", [Record(("abcdef",), "y")], BYTES, ["y"], seq_len=4)
    which = "examples are longer than seq_len=4: truncated, so the model does not see that"
    assert [record.getMessage() for record in caplog.records] == [
        f"test: 2 of 3 {which}; data.seq_len=7 has all",
        f"val: 1 of 1 {which}; data.seq_len=6 has all",
    ]
    caplog.clear()
    encode.truncate_pairs("test", examples, 7)
    assert not caplog.records


def test_dropping_all_pairs_is_refused():
    with pytest.raises(ValueError, match=r"no pair within data.seq_len=4 tokens.*for example to 6"):
        encode.short_pairs("train", [pair(6, 1), pair(2, 9)], 4)


def test_labels_become_numbers_and_texts_are_cut(caplog):
    records = [Record(("abcdef",), "y"), Record(("a",), "x")]
    with caplog.at_level(logging.INFO):
        split = encode.labelled("train", records, BYTES, ["x", "y"], seq_len=4)
    assert [(BYTES.decode(e.ids), e.label) for e in split.examples] == [("abcd", 1), ("a", 0)]
    assert split.n_tokens == 5
    assert "1 of 2 examples are longer than seq_len=4: truncated" in caplog.text


def test_an_unknown_label_is_refused_with_the_known_ones():
    match = r"label 'z' at val example 2 is not among the 2 training labels: x, y"
    records = [Record(("a",), "x"), Record(("a",), "z")]
    with pytest.raises(ValueError, match=match):
        encode.labelled("val", records, BYTES, ["x", "y"], seq_len=4)


NOTE = [[0, "D"], [5, "N"], [9, "V"]]
RECORD = Record(("Élan vit là",), NOTE)


@pytest.mark.parametrize("option", [Bytes(), Characters(), BPE(vocab_size=260)])
def test_a_tag_sits_on_the_first_token_of_its_word(option):
    vocabulary = option.train(["Élan vit"])  # "l" is known, "à" unknown to characters
    ids, tags, starts = encode.tag_tokens("train", RECORD, vocabulary, {"D": 0, "N": 1, "V": 2})
    assert len(ids) == len(tags) == len(starts)
    assert sorted(tags[tags != encode.NO_TAG].tolist()) == [0, 1, 2]
    for number, (character, _) in enumerate(NOTE):
        (token,) = np.flatnonzero(tags == number)
        end = starts[token + 1] if token + 1 < len(ids) else len(RECORD.texts[0])
        assert starts[token] <= character
        assert character < end or starts[token] == character  # bytes of one character share it
        assert token == 0 or starts[token - 1] < starts[token]


def test_a_token_that_begins_with_the_space_carries_the_tag():
    vocabulary = BPE(vocab_size=300).train(["aa bb aa bb aa bb"])
    ids, tags, _ = encode.tag_tokens("train", Record(("aa bb",), [[3, "x"]]), vocabulary, {"x": 0})
    (token,) = np.flatnonzero(tags == 0)
    assert vocabulary.decode(ids[token : token + 1]).startswith(" b")


def test_an_unknown_tag_is_refused():
    with pytest.raises(ValueError, match=r"tag 'V' in the val split is not among the known: D, N"):
        encode.tag_tokens("val", RECORD, BYTES, {"D": 0, "N": 1})


def test_long_tagged_sequences_are_cut_with_their_tags(caplog):
    with caplog.at_level(logging.INFO):
        (cut,) = encode.truncate_tagged("val", [Tagged(np.arange(5), np.arange(5))], 3)
    assert cut.ids.tolist() == cut.tags.tolist() == [0, 1, 2]
    assert "1 of 1 examples" in caplog.text
    assert encode.example_split([cut]).n_tokens == 3


def test_examples_of_one_text_have_one_number():
    records = [Record(("a",), "x", "b.py"), Record(("b",), "x"), Record(("c",), "x", "a.py"),
               Record(("d",), "x", "b.py"), Record(("e",), "x")]  # fmt: skip
    assert encode.document_numbers(records).tolist() == [0, 1, 2, 0, 3]
    split = encode.labelled("test", records, BYTES, ["x"], seq_len=4)
    assert split.documents.tolist() == [[0, 0], [1, 1], [2, 2], [0, 0], [3, 3]]
    assert encode.example_split([pair(1, 1)] * 2).documents.tolist() == [[0, 0], [1, 1]]

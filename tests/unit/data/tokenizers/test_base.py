"""What every vocabulary promises: special ids, decoding, saving."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_transformer.data.tokenizers.file import load_vocabulary
from tests.helpers.vocabularies import trained

TEXT = "The quick brown fox — naïve façade, 12 € <s> </s> [MASK]\n\tand\r\n so on.\x00 " * 3
VOCABULARIES = trained(TEXT)
every = pytest.mark.parametrize("vocabulary", VOCABULARIES.values(), ids=VOCABULARIES.keys())


@every
def test_special_ids_follow_those_of_text(vocabulary):
    n = vocabulary.n_text
    special = ["pad_id", "bos_id", "eos_id", "mask_id", "cls_id", "unk_id"]
    assert [getattr(vocabulary, name) for name in special] == list(range(n, n + 6))
    assert vocabulary.size == n + 6


@every
def test_round_trip_and_ids_of_text_only(vocabulary):
    ids = vocabulary.encode(TEXT)
    assert ids.dtype == np.int32
    assert ids.max() < vocabulary.n_text
    assert vocabulary.decode(ids) == TEXT


SPELLED = ["<|endoftext|>", "[PAD]", "[MASK]", "[CLS]", "[UNK]", "<unk>", "<s>", "</s>", "\x00"]
ANY = st.lists(
    st.text() | st.binary().map(lambda b: b.decode(errors="replace")) | st.sampled_from(SPELLED)
)


@every
@settings(deadline=None)
@given(text=ANY.map("".join))
def test_any_text_without_unknown_parts_round_trips(vocabulary, text):
    ids = vocabulary.encode(text)
    assert set(ids[ids >= vocabulary.n_text].tolist()) <= {vocabulary.unk_id}
    if vocabulary.unk_id not in ids:
        assert vocabulary.decode(ids) == text
        assert vocabulary.id_bytes[ids].sum() == len(text.encode())


def test_some_vocabularies_know_any_text():
    known = [
        v
        for v in VOCABULARIES.values()
        if v.unk_id not in v.encode("unseen: \u03a9\u2248\u00e7 \U0001d11e")
    ]
    assert 1 < len(known) < len(VOCABULARIES)


@every
def test_bytes_of_ids_add_up_to_those_of_the_text(vocabulary):
    assert vocabulary.id_bytes.shape == (vocabulary.size,)
    assert vocabulary.id_bytes.dtype == np.int64
    assert vocabulary.id_bytes[vocabulary.encode(TEXT)].sum() == len(TEXT.encode())
    assert not vocabulary.id_bytes[vocabulary.n_text :].any()


@every
def test_starts_point_at_the_characters(vocabulary):
    ids, starts = vocabulary.encode_with_starts(TEXT)
    assert np.array_equal(ids, vocabulary.encode(TEXT))
    # Character at which each token starts, counted from the bytes of the tokens before it.
    before = np.cumsum(vocabulary.id_bytes[ids]) - vocabulary.id_bytes[ids]
    first_byte = np.cumsum([0] + [len(c.encode()) for c in TEXT])
    expected = np.searchsorted(first_byte, before, side="right") - 1
    assert starts.tolist() == expected.tolist()


@every
def test_encode_all_equals_one_by_one(vocabulary):
    texts = ["one", "", "two 2"]
    for ids, text in zip(vocabulary.encode_all(texts), texts, strict=True):
        assert np.array_equal(ids, vocabulary.encode(text))


@every
def test_decode_shows_mask_and_unknown_and_drops_the_others(vocabulary):
    v = vocabulary
    a, b = v.encode("Th"), v.encode(" so")
    ids = [v.bos_id, v.cls_id, *a, v.mask_id, v.pad_id, *b, v.unk_id, v.eos_id]
    assert v.decode(ids) == "Th[MASK] so\ufffd"
    assert v.decode(torch.tensor(ids)) == "Th[MASK] so\ufffd"
    assert v.decode([]) == ""


@every
@pytest.mark.parametrize("offset", [0, None])
def test_decode_refuses_ids_outside(vocabulary, offset):
    wrong = vocabulary.size if offset == 0 else -1
    with pytest.raises(ValueError, match=rf"\[0, {vocabulary.size}\)"):
        vocabulary.decode([0, wrong])


@every
def test_save_and_load_give_the_same_vocabulary(vocabulary, tmp_path):
    path = tmp_path / "tokenizer.json"
    vocabulary.save(path)
    loaded = load_vocabulary(path)
    text = TEXT + "unseen: Ω≈ç"
    assert type(loaded) is type(vocabulary)
    assert np.array_equal(loaded.encode(text), vocabulary.encode(text))
    assert np.array_equal(loaded.id_bytes, vocabulary.id_bytes)
    assert loaded.size == vocabulary.size
    assert loaded.decode(loaded.encode(TEXT)) == TEXT
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()

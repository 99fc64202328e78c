"""Encoded texts are kept in order, and what is not known to be on the disk is encoded again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.store import kept_encodings
from lightning_transformer.data.store.corpus import JOURNAL
from lightning_transformer.data.store.kept_encodings import KeptEncodings, remove_encodings
from lightning_transformer.data.tokenizers.bytes import Bytes

TEXTS = ["one", "", "zwei", "drei é", "x" * 300]


@pytest.fixture(autouse=True)
def always_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_encodings, "NOTED", 0.0)


def begun(folder: Path, texts: list[str], marked: bool = False) -> Any:
    """The vocabulary of a process that encodes some texts, and is gone."""
    kept = KeptEncodings(folder, "train", Bytes().train(()), 1).vocabulary()
    kept = kept.with_marks(["<x>"]) if marked else kept
    kept.encode_all(texts)
    for text in texts:
        kept.encode_with_starts(text)
    return kept


class Refusing:
    """Asked for nothing that was kept."""

    def __init__(self, patch: pytest.MonkeyPatch, kept: list[str]) -> None:
        real = type(Bytes().train(()))
        self.asked: list[str] = []

        def encode(vocabulary: Any, text: str, old: Any = real.encode) -> Any:
            assert text not in kept
            self.asked.append(text)
            return old(vocabulary, text)

        patch.setattr(real, "encode", encode)


@pytest.mark.parametrize("marked", [False, True])
def test_only_the_rest_is_encoded(tmp_path, monkeypatch, marked) -> None:
    plain = Bytes().train(())
    wanted = [(plain.encode(text), plain.encode_with_starts(text)) for text in TEXTS]
    begun(tmp_path, TEXTS[:3], marked)
    Refusing(monkeypatch, TEXTS[:3])
    kept = KeptEncodings(tmp_path, "train", plain, 1)
    found = kept.vocabulary().encode_all(TEXTS)
    for text, ids, (expected, (again, starts)) in zip(TEXTS, found, wanted, strict=True):
        assert ids.dtype == expected.dtype
        assert ids.tolist() == expected.tolist()
        both = kept.vocabulary().encode_with_starts(text)
        assert [x.tolist() for x in both] == [again.tolist(), starts.tolist()]
        assert [x.dtype for x in both] == [again.dtype, starts.dtype]
    kept.close()


@pytest.mark.parametrize(
    "name", ["train.encoded.ids", "train.encoded.lengths", "train.placed.starts"]
)
def test_what_is_not_there_is_encoded_again(tmp_path, monkeypatch, name) -> None:
    begun(tmp_path, TEXTS[:3])
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[:-1])
    patched = Refusing(monkeypatch, [])
    found = begun(tmp_path, TEXTS)
    plain = Bytes().train(())
    assert [x.tolist() for x in found.encode_all([])] == []
    assert set(patched.asked) >= set(TEXTS)
    again = KeptEncodings(tmp_path, "train", plain, 1).vocabulary().encode_all(TEXTS)
    assert [x.tolist() for x in again] == [plain.encode(text).tolist() for text in TEXTS]


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"train.encoded": 3}', '{"train.encoded": [-1, "x"]}']
)
def test_a_damaged_note_counts_as_none(tmp_path, content) -> None:
    begun(tmp_path, TEXTS[:3])
    (tmp_path / JOURNAL).write_text(content)
    plain = Bytes().train(())
    found = KeptEncodings(tmp_path, "train", plain, 1).vocabulary().encode_all(TEXTS)
    assert [x.tolist() for x in found] == [plain.encode(text).tolist() for text in TEXTS]


def test_all_is_removed(tmp_path) -> None:
    begun(tmp_path, TEXTS)
    (tmp_path / "train.source").touch()
    remove_encodings(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["train.source"]

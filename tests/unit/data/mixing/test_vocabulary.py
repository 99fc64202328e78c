"""The one tokenizer of a mixture: learned from all parts, once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from lightning_transformer.data import base
from lightning_transformer.data.mixing import vocabulary
from lightning_transformer.data.mixing.vocabulary import LearnedTokenizer, learned_from_all
from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.sources.text import Text
from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.data.tokenizers.bytes import Bytes
from lightning_transformer.data.tokenizers.characters import Characters


def parts(folder: Path, tokenizer) -> dict[str, Text]:
    made = {}
    for name, text in (("a", "abc abd " * 200), ("b", "xyz xyw " * 50)):
        path = folder / f"{name}.txt"
        path.write_text(text)
        options = {"val_fraction": 0.0, "test_fraction": 0.0, "packing": Stream()}
        made[name] = Text(path=str(path), tokenizer=tokenizer, **options)
    return made


def test_what_has_nothing_to_learn_stays_as_it_is(tmp_path) -> None:
    tokenizer = Bytes()
    assert learned_from_all(tokenizer, parts(tmp_path, tokenizer)) is tokenizer


def test_all_parts_are_learned_from(tmp_path) -> None:
    tokenizer = Characters()
    found = learned_from_all(tokenizer, parts(tmp_path, tokenizer))
    words = found.train(())
    assert words.decode(words.encode("axw")) == "axw"
    assert words.unk_id not in words.encode("abcdxyzw ")
    assert words.unk_id in words.encode("q")


def test_the_vocabulary_is_that_of_all_texts_at_once(tmp_path) -> None:
    tokenizer = BPE(vocab_size=270)
    found = learned_from_all(tokenizer, parts(tmp_path, tokenizer)).train(())
    whole = tokenizer.train(["abc abd " * 200, "xyz xyw " * 50])
    text = "abc xyz abd xyw"
    assert found.encode(text).tolist() == whole.encode(text).tolist()
    assert found.size == whole.size


def test_that_of_large_parts_is_learned_once(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(base, "STORED_FROM", 1)
    tokenizer = BPE(vocab_size=270)
    first = learned_from_all(tokenizer, parts(tmp_path, tokenizer))

    def probed(self: BPE, texts: Iterable[str]) -> None:
        """Whether it learns at all is tried with one letter."""
        assert [*texts] == ["a"], "learned again"

    with monkeypatch.context() as patch:
        patch.setattr(BPE, "train", probed)
        second = learned_from_all(tokenizer, parts(tmp_path, tokenizer))
    assert isinstance(first, LearnedTokenizer)
    assert isinstance(second, LearnedTokenizer)
    assert first.identity() == second.identity()
    made = parts(tmp_path, tokenizer)
    Path(made["b"].path).write_text("other text " * 50)
    other = learned_from_all(tokenizer, made)
    assert isinstance(other, LearnedTokenizer)
    assert other.identity() != first.identity()


def test_loading_gives_what_was_saved() -> None:
    words = BPE(vocab_size=280).train(["the cat sat on the mat " * 20])
    again = vocabulary._loaded(vocabulary._saved(words))
    assert again.encode("the mat").tolist() == words.encode("the mat").tolist()
    assert LearnedTokenizer(again).identity() == LearnedTokenizer(words).identity()

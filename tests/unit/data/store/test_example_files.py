"""Pairs, labels, numbers and tags through the cache, held against the same in memory."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_transformer.data import base, compact
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.sources.conll import CoNLL
from lightning_transformer.data.sources.labelled import LabelledText
from lightning_transformer.data.sources.parallel import ParallelText
from lightning_transformer.data.sources.rated import RatedText
from lightning_transformer.data.store import corpus, kept_encodings
from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.data.tokenizers.bytes import Bytes

LINES = [f"line {i} é{'x' * (i % 9)}" for i in range(300)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(base, "STORED_FROM", 0)
    monkeypatch.setattr(kept_encodings, "NOTED", 0.0)
    (tmp_path / "lines").write_text("\n".join(LINES))
    (tmp_path / "upper").write_text("\n".join(LINES).upper())
    rows = [f"{line},{i % 3},d{i // 4}" for i, line in enumerate(LINES)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label,document", *rows]))
    words = [" ".join(f"{word} T{len(word) % 4}\n" for word in line.split()) for line in LINES[:60]]
    (tmp_path / "words").write_text("\n".join(words).replace("\n ", "\n"))
    return tmp_path


MAKE: dict[str, Any] = {
    "parallel": lambda at: ParallelText(
        source=str(at / "lines"), target=str(at / "upper"), tokenizer=BPE(vocab_size=300), seq_len=9
    ),
    "labelled": lambda at: LabelledText(
        path=str(at / "rows.csv"), document_key="document", tokenizer=Bytes(), seq_len=9
    ),
    "rated": lambda at: RatedText(path=str(at / "rows.csv"), tokenizer=Bytes(), seq_len=12),
    "conll": lambda at: CoNLL(path=str(at / "words"), tokenizer=Bytes(), seq_len=12),
}


def content(data: DataModule) -> list[Any]:
    found: list[Any] = [data.identity, data.labels, data.vocabulary.size]
    for name, split in sorted(data.splits.items()):
        examples = [split.get(i, 0) for i in range(len(split))]
        rows = [[x.tolist() if isinstance(x, np.ndarray) else x for x in e] for e in examples]
        documents, lengths = split.documents, split.lengths
        assert documents is not None
        assert lengths is not None
        found += [name, split.n_tokens, rows, documents.tolist(), lengths.tolist()]
    return found


@pytest.mark.parametrize("name", list(MAKE))
def test_examples_are_those_in_memory(folder, monkeypatch, name) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(base, "STORED_FROM", 10**9)
        memory = MAKE[name](folder)
        memory.prepare()
    assert corpus.kept() == []
    first, again = MAKE[name](folder), MAKE[name](folder)
    first.prepare()
    monkeypatch.setattr(type(again), "read", None)  # a second start reads nothing
    again.prepare()
    assert content(first) == content(memory)
    assert content(again) == content(memory)
    assert len(corpus.kept()) == 1


def test_another_length_has_a_corpus_of_its_own(folder) -> None:
    MAKE["rated"](folder).prepare()
    RatedText(path=str(folder / "rows.csv"), tokenizer=Bytes(), seq_len=13).prepare()
    assert len(corpus.kept()) == 2


def killed_now_and_then(folder: Path, monkeypatch: Any, name: str, n_kills: int) -> None:
    """Encode in a child that is killed after a random time; what is left is made good or right."""
    monkeypatch.setattr(compact, "PART", 16)  # texts between two notes
    with monkeypatch.context() as patch:
        patch.setattr(base, "STORED_FROM", 10**9)
        memory = MAKE[name](folder)
        memory.prepare()
    draws = random.Random(1)
    for _ in range(n_kills):
        child = os.fork()
        if child == 0:
            try:
                MAKE[name](folder).prepare()
            finally:
                os._exit(0)
        time.sleep(draws.uniform(0.0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if corpus.kept() and corpus.kept()[0].complete:
            found = MAKE[name](folder)
            found.prepare()
            assert content(found) == content(memory)
            (corpus.kept()[0].folder / corpus.MANIFEST).unlink()
    found = MAKE[name](folder)
    found.prepare()
    assert content(found) == content(memory)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("name", list(MAKE))
def test_kills_leave_no_wrong_examples(folder, monkeypatch, name) -> None:
    killed_now_and_then(folder, monkeypatch, name, 5)


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("name", list(MAKE))
def test_two_hundred_kills_leave_no_wrong_examples(folder, monkeypatch, name) -> None:
    killed_now_and_then(folder, monkeypatch, name, 200)


def counted(monkeypatch: Any, kind: Any, stops: list[int]) -> list[str]:
    """Every text that is encoded; KeyboardInterrupt once there are so many, for each of `stops`."""
    texts: list[str] = []

    def call(real: Any, several: bool) -> Any:
        def encode(self: Any, given: Any) -> Any:
            if stops and len(texts) >= stops[0]:
                del stops[0]
                raise KeyboardInterrupt
            texts.extend(given if several else [given])
            return real(self, given)

        return encode

    for name, several in (("encode_all", True), ("encode_with_starts", False)):
        monkeypatch.setattr(kind, name, call(getattr(kind, name), several))
    return texts


@pytest.mark.parametrize("name", list(MAKE))
def test_what_is_interrupted_goes_on(folder, monkeypatch, name) -> None:
    """Each time at most what was being encoded is encoded again, and all is as in memory."""
    with monkeypatch.context() as patch:
        patch.setattr(base, "STORED_FROM", 10**9)
        memory = MAKE[name](folder)
        memory.prepare()
    monkeypatch.setattr(compact, "PART", 16)
    kind = type(memory.vocabulary)
    plain = counted(monkeypatch, kind, [])
    MAKE[name](folder).prepare()
    n = len(plain)
    (corpus.kept()[0].folder / corpus.MANIFEST).unlink()
    texts = counted(monkeypatch, kind, [n // 4, n // 2, 3 * n // 4])
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            MAKE[name](folder).prepare()
    data = MAKE[name](folder)
    data.prepare()
    assert content(data) == content(memory)
    assert len(texts) == n  # each once
    files = {file.suffix for file in corpus.kept()[0].folder.iterdir()}
    assert not files & {".lengths", ".starts"}  # what was kept of the texts is gone
    assert len(plain) == 2 * n

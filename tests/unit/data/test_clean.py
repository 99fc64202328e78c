"""`python -m lightning_transformer.data clean`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lightning_transformer.data import base
from lightning_transformer.data.__main__ import main
from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.sources.text import Text
from lightning_transformer.data.store import corpus
from lightning_transformer.data.tokenizers.characters import Characters


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(base, "STORED_FROM", 0)
    for age, name in enumerate("ab", start=1):
        (tmp_path / name).write_text(f"text {name} " * 200)
        data = Text(path=str(tmp_path / name), tokenizer=Characters(), packing=Stream(), seq_len=8)
        data.prepare()
        newest = corpus.kept()[-1].folder
        os.utime(newest / corpus.MANIFEST, (age, age))


def test_it_lists_and_removes_nothing_unless_asked(two, tmp_path, capsys) -> None:
    assert main(["clean"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [str(tmp_path / name) in line for name, line in zip("ab", said, strict=False)] == [
        True
    ] * 2
    assert said[2].startswith("2 encoded texts, 0.00 GB")
    assert [one.used for one in corpus.kept()] == [1, 2]  # looking is no use


def test_it_removes_the_least_recently_used(two, capsys) -> None:
    _, second = corpus.kept()
    assert main(["clean", "--keep-gb", str(second.size / 1e9)]) == 0
    assert [one.folder for one in corpus.kept()] == [second.folder]
    assert capsys.readouterr().out.startswith("removed 1 encoded texts")
    assert main(["clean", "--all"]) == 0
    assert corpus.kept() == []
    assert main(["clean"]) == 0


def test_an_impossible_limit_is_refused(two, capsys) -> None:
    assert main(["clean", "--keep-gb", "-1"]) == 2
    assert "must be at least 0" in capsys.readouterr().err
    assert main(["clean", "--keep-gb", "nan"]) == 2
    assert len(corpus.kept()) == 2

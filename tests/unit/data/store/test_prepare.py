"""Text through the cache, held against the same text in memory."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from lightning_transformer.data import base, pieces
from lightning_transformer.data.packing.documents import Documents
from lightning_transformer.data.sources import text
from lightning_transformer.data.sources.text import Text
from lightning_transformer.data.store import corpus, inputs, prepare, write
from lightning_transformer.data.store.mapped_bytes import MappedBytes
from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.data.tokenizers.bytes import Bytes
from lightning_transformer.data.tokenizers.characters import Characters

TEXT = "".join(f"Line {i}: é € {i * i}.\n" for i in range(400))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files, a cache of their own, and pieces and groups that are short."""
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    for module, name, value in (
        (pieces, "PIECE", 50),
        (pieces, "BLOCK", 301),
        (write, "GROUP", 200),
        (write, "NOTED", 0.0),
    ):
        monkeypatch.setattr(module, name, value)
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbf" + TEXT[::-1].replace("\n", "\r\n").encode())
    return tmp_path


def prepared(monkeypatch: Any, path: Path, tokenizer: Any, stored: bool = True, **kw: Any) -> Text:
    monkeypatch.setattr(base, "STORED_FROM", 0 if stored else 10**9)
    data = Text(path=str(path), tokenizer=tokenizer, packing=Documents(), seq_len=16, **kw)
    data.prepare()
    return data


def all_rows(data: Text) -> list[Any]:
    return [
        [None if x is None else x.tolist() for x in split.get(i, epoch)]
        for name, split in sorted(data.splits.items())
        for i in range(len(split))
        for epoch in (0, 3)
    ]


def same(a: Text, b: Text) -> bool:
    return (
        a.identity == b.identity
        and a.vocabulary.size == b.vocabulary.size
        and all_rows(a) == all_rows(b)
    )


@pytest.mark.parametrize("files", ["a.txt", "b.txt", "*.txt"])
@pytest.mark.parametrize("make", [lambda: BPE(vocab_size=300), Bytes, Characters])
def test_tokens_are_those_of_text_in_memory(folder, monkeypatch, make, files) -> None:
    memory = prepared(monkeypatch, folder / files, make(), stored=False)
    first = prepared(monkeypatch, folder / files, make())
    again = prepared(monkeypatch, folder / files, make())
    assert same(first, memory)
    assert same(again, memory)
    assert len(corpus.kept()) == 1


def test_utf8_without_crlf_is_mapped_itself(folder, monkeypatch) -> None:
    data = prepared(monkeypatch, folder / "a.txt", Bytes())
    assert isinstance(data.splits["train"].tokens, MappedBytes)
    assert corpus.kept()[0].size < 2000


def test_slices_of_mapped_bytes_are_those_of_an_array(tmp_path) -> None:
    (tmp_path / "f").write_bytes(b"abcdefgh")
    parts = [(tmp_path / "f", a, b) for a, b in ((0, 3), (3, 3), (2, 8), (7, 8))]
    mapped = MappedBytes(parts, 258)
    whole = [258, *b"abc", 258, 258, *b"cdefgh", 258, *b"h", 258]
    assert len(mapped) == len(whole)
    assert mapped.ends.tolist() == [4, 5, 12, 14]
    for start in range(len(whole) + 1):
        for stop in range(len(whole) + 1):
            assert mapped[start:stop].tolist() == whole[start:stop]


def test_a_second_start_neither_reads_nor_encodes(folder, monkeypatch) -> None:
    prepared(monkeypatch, folder / "*.txt", BPE(vocab_size=300))
    old = time.time() - 60  # so that the index of digests may be trusted
    for file in folder.glob("*.txt"):
        os.utime(file, (old, old))
    prepared(monkeypatch, folder / "*.txt", BPE(vocab_size=300))

    def refuse(*args: Any) -> None:
        raise AssertionError("not again")

    for module, name in ((Text, "read"), (BPE, "train"), (inputs, "file_sha256")):
        monkeypatch.setattr(module, name, refuse)
    prepared(monkeypatch, folder / "*.txt", BPE(vocab_size=300))


def test_a_large_file_is_checked_and_cut_once(folder, monkeypatch) -> None:
    """Each looks through all of it, and the records are gone through for every split and digest."""
    done: list[tuple[str, str]] = []
    sizes = [0]

    def counted(name: str, path: Any, real: Any) -> Any:
        def call(one: Any, *rest: Any) -> Any:
            done.append((name, path(one).name))
            return real(one, *rest)

        return call

    monkeypatch.setattr(text, "scan", counted("scan", lambda one: one, text.scan))
    monkeypatch.setattr(text, "divided", counted("cut", lambda one: one.path, text.divided))
    real = Text.is_large

    def is_large(source: Text) -> bool:
        sizes[0] += 1
        return real(source)

    monkeypatch.setattr(Text, "is_large", is_large)
    prepared(monkeypatch, folder / "*.txt", BPE(vocab_size=300))
    names = [file.name for file in sorted(folder.glob("*.txt"))]
    assert sorted(done) == sorted((what, name) for what in ("scan", "cut") for name in names)
    assert sizes[0] == 2  # by the loading, and by the source


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_changed_file_is_noticed(folder, monkeypatch, keep_time) -> None:
    """Also one of the same size and time, where it was written just before it was read."""
    before = prepared(monkeypatch, folder / "a.txt", Characters())
    found = (folder / "a.txt").stat()
    (folder / "a.txt").write_text(TEXT.replace("Line 1:", "Lime 1:"))
    if keep_time:
        os.utime(folder / "a.txt", ns=(found.st_atime_ns, found.st_mtime_ns))
    after = prepared(monkeypatch, folder / "a.txt", Characters())
    assert after.identity.sha256 != before.identity.sha256
    assert len(corpus.kept()) == 2


def test_options_and_tokenizer_have_corpora_of_their_own(folder, monkeypatch) -> None:
    for tokenizer, kw in (
        (Characters(), {}),
        (BPE(vocab_size=300), {}),
        (BPE(vocab_size=301), {}),
        (Characters(), {"val_fraction": 0.2}),
        (Characters(), {"batch_size": 3}),  # not for loading
    ):
        prepared(monkeypatch, folder / "a.txt", tokenizer, **kw)
    assert len(corpus.kept()) == 4


@pytest.mark.parametrize("name", ["train.tokens", "val.ends", "manifest.json"])
def test_damage_is_said_and_made_good(folder, monkeypatch, caplog, name) -> None:
    memory = prepared(monkeypatch, folder / "a.txt", Characters(), stored=False)
    prepared(monkeypatch, folder / "a.txt", Characters())
    file = corpus.kept()[0].folder / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content[:-1] if name == "manifest.json" else content)
    with caplog.at_level(logging.WARNING):
        assert same(prepared(monkeypatch, folder / "a.txt", Characters()), memory)
    assert len([r for r in caplog.records if "is damaged" in r.message]) == 1


def test_a_second_process_waits_for_the_first(folder, monkeypatch, caplog) -> None:
    data = prepared(monkeypatch, folder / "a.txt", Characters())
    one = corpus.kept()[0].folder
    (one / corpus.MANIFEST).rename(one / "hidden")
    held = threading.Event()

    def first() -> None:
        with FileLock(one.with_suffix(".lock")):
            held.set()
            while "waiting" not in caplog.text:
                time.sleep(0.01)
            (one / "hidden").rename(one / corpus.MANIFEST)  # it is done

    monkeypatch.setattr(prepare, "_make", None)
    ending = threading.Thread(target=first)
    ending.start()
    held.wait()
    with caplog.at_level(logging.INFO):
        assert same(prepared(monkeypatch, folder / "a.txt", Characters()), data)
    ending.join()
    assert "another process is encoding it; waiting" in caplog.text


def test_the_cache_is_kept_within_its_limit(folder, monkeypatch) -> None:
    prepared(monkeypatch, folder / "a.txt", Characters())
    old = corpus.kept()[0].folder
    os.utime(old / corpus.MANIFEST, (1, 1))
    prepared(monkeypatch, folder / "b.txt", Characters(), cache_gb=1e-6)
    assert [one.folder for one in corpus.kept()] != [old]
    assert len(corpus.kept()) == 1
    with pytest.raises(ValueError, match=r"data\.cache_gb=0"):
        prepared(monkeypatch, folder / "b.txt", Characters(), cache_gb=0)


def test_a_cache_that_cannot_be_written_is_refused_in_one_line(folder, monkeypatch) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(folder / "file"))
    with pytest.raises(
        ValueError, match=r"^the cache cannot be used .*LIGHTNING_TRANSFORMER_CACHE"
    ):
        prepared(monkeypatch, folder / "a.txt", Characters())


def killed_now_and_then(folder: Path, monkeypatch: Any, n_kills: int, make: Any) -> None:
    """Encode in a child that is killed after a random time, n times or until it is done."""
    monkeypatch.setattr(base, "STORED_FROM", 10**9)
    memory = prepared(monkeypatch, folder / "*.txt", make(), stored=False)
    draws, kills = random.Random(1), 0
    while kills < n_kills:
        child = os.fork()
        if child == 0:
            try:
                prepared(monkeypatch, folder / "*.txt", make())
            finally:
                os._exit(0)
        time.sleep(draws.uniform(0.0, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1
        if corpus.kept() and corpus.kept()[0].complete:
            assert same(prepared(monkeypatch, folder / "*.txt", make()), memory)
            for one in corpus.kept():
                (one.folder / corpus.MANIFEST).unlink()
                if draws.random() < 0.5:
                    for file in one.folder.iterdir():
                        file.unlink()
    assert same(prepared(monkeypatch, folder / "*.txt", make()), memory)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_kills_leave_no_wrong_corpus(folder, monkeypatch) -> None:
    killed_now_and_then(folder, monkeypatch, 12, Characters)


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_two_hundred_kills_leave_no_wrong_corpus(folder, monkeypatch) -> None:
    killed_now_and_then(folder, monkeypatch, 200, Characters)


def test_what_is_interrupted_goes_on(folder, monkeypatch) -> None:
    memory = prepared(monkeypatch, folder / "*.txt", Characters(), stored=False)
    whole = Characters().train([TEXT]).__class__
    texts: list[str] = []

    def stopping(self: Any, found: list[str]) -> list[np.ndarray]:
        texts.extend(found)
        if len(texts) in range(60, 75):
            raise KeyboardInterrupt
        return [self.encode(text) for text in found]

    monkeypatch.setattr(whole, "encode_all", stopping)
    with pytest.raises(KeyboardInterrupt):
        prepared(monkeypatch, folder / "*.txt", Characters())
    n_first = len(texts)
    texts += [""] * 20  # no further stop
    assert same(prepared(monkeypatch, folder / "*.txt", Characters()), memory)
    again = texts[n_first + 20 :]
    # At most the group that was not noted is encoded a second time.
    assert sum(map(len, again)) + sum(map(len, texts[:n_first])) < 2 * len(TEXT) + 2 * 400

"""Data sets of the hub, saved to a folder: no network."""

from __future__ import annotations

import sys

import pytest

from lightning_transformer.data import base
from lightning_transformer.data.formats import hub_rows
from lightning_transformer.data.formats.hub_rows import parts, stream
from lightning_transformer.data.formats.row_options import RowOptions
from lightning_transformer.data.sources.labelled import LabelledText
from lightning_transformer.data.store import corpus
from lightning_transformer.data.tokenizers.bytes import Bytes

KEYS = ("text", "label")


def read(path: str, keys=KEYS, kind: str = "hub") -> list:
    return [values for _, values in RowOptions(format=kind).read(path, keys, key="data.path")]


@pytest.fixture
def saved(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    label = datasets.ClassLabel(names=["neg", "pos"])
    kinds = {
        "text": datasets.Value("string"),
        "label": label,
        "t": {"de": datasets.Value("string")},
    }
    columns = {"text": ["a", "é"], "label": [1, -1], "t": [{"de": "x"}, {"de": "y"}]}
    train = datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))
    train.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": train, "test": train.select([0])}).save_to_disk(tmp_path / "all")
    return tmp_path


@pytest.mark.parametrize("kind", ["hub", "hub_stream"])
def test_rows_of_a_saved_data_set_have_the_names_of_classes(saved, kind, tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    assert read(f"{saved / 'one'}", kind=kind) == [("a", "pos"), ("é", None)]
    assert read(f"{saved / 'all'}", ("t.de",), kind) == [("x",), ("y",)]
    assert read(f"{saved / 'all'}:test", kind=kind) == [("a", "pos")]


def test_what_cannot_be_read_is_refused_in_one_line(saved):
    for path, match in (
        (f"{saved / 'all'}:val", r"cannot be read \(no split val; found: train, test\)"),
        (f"{saved / 'none'}", "cannot be read .*; give NAME, NAME:SPLIT"),
    ):
        with pytest.raises(ValueError, match=match) as caught:
            read(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="no key 'txt'; found: label, t, text"):
        read(str(saved / "one"), ("txt",))


def test_the_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"needs the package datasets; pip install '.*\[hub\]'"):
        read("x")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b", ("a/b", None, None)),
        ("a/b:test", ("a/b", None, "test")),
        ("a/b@c", ("a/b", "c", None)),
        ("a/b@c:test", ("a/b", "c", "test")),
        (".", (".", None, None)),
        (".:test", (".", None, "test")),
    ],
)
def test_names_configurations_and_splits(path, expected):
    assert parts(path) == expected


def test_a_saved_data_set_is_encoded_once(saved, tmp_path, monkeypatch):
    """Into the cache, by its files, or by that of the rows that were streamed."""
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(base, "STORED_FROM", 1)
    datasets = pytest.importorskip("datasets")
    texts = {"text": [f"text {i}" for i in range(60)], "label": [f"l{i % 2}" for i in range(60)]}
    datasets.Dataset.from_dict(texts).save_to_disk(tmp_path / "many")

    def prepared(kind: str) -> LabelledText:
        data = LabelledText(path=str(tmp_path / "many"), format=kind, tokenizer=Bytes())
        data.prepare()
        return data

    first = prepared("hub")
    assert [file.suffix for file in first.inputs()] == [".arrow"]
    assert len(corpus.kept()) == 1
    streamed = prepared("hub_stream")
    (rows,) = streamed.inputs()
    assert rows.parent.parent == corpus.corpora()
    assert len(corpus.kept()) == 3  # the rows, and what was encoded from them and from the files
    stream.cache_clear()  # as another process would begin
    with monkeypatch.context() as patch:
        patch.setattr(LabelledText, "read", None)
        again = [prepared("hub"), prepared("hub_stream")]
    assert {data.identity for data in [first, streamed, *again]} == {first.identity}
    assert len(corpus.kept()) == 3


def test_a_stream_that_changed_is_read_anew(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    for text in ("before", "after"):
        datasets.Dataset.from_dict({"text": [text]}).save_to_disk(tmp_path / text)
    (tmp_path / "now").symlink_to(tmp_path / "before")
    path = str(tmp_path / "now")
    assert read(path, ("text",), "hub_stream") == [("before",)]
    (tmp_path / "now").unlink()
    (tmp_path / "now").symlink_to(tmp_path / "after")
    assert read(path, ("text",), "hub_stream") == [("before",)]  # once in a process
    stream.cache_clear()
    assert read(path, ("text",), "hub_stream") == [("after",)]


def test_a_stream_that_breaks_off_is_refused_in_one_line(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))

    def broken(*given):
        yield {"text": "a"}
        raise ConnectionError("reset\nby peer")

    monkeypatch.setattr(hub_rows, "_named", broken)
    with pytest.raises(ValueError, match=r"one broke off \(reset by peer\); start again, or"):
        read(str(saved / "one"), ("text",), "hub_stream")

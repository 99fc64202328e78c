"""Source roles: windows, and the running Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.sources import _stdlib
from lightning_transformer.data.sources._name_roles import ROLES
from lightning_transformer.data.sources.roles import Roles, line_starts, windows
from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    return {"max_files": 60}


@pytest.mark.parametrize(
    ("boundaries", "seq_len", "expected"),
    [
        ([0, 3, 6, 9], 9, [(0, 9)]),
        ([0, 3, 6, 9], 8, [(0, 6), (6, 9)]),
        ([0, 3, 6, 9], 3, [(0, 3), (3, 6), (6, 9)]),
        ([0, 3, 9, 12], 4, [(0, 3), (9, 12)]),  # the middle line is too long
        ([0, 9, 12, 13], 4, [(9, 13)]),
        ([0, 3, 9], 4, [(0, 3)]),
        ([0, 9], 4, []),
        ([0, 0, 3, 3, 6], 6, [(0, 6)]),  # lines without a token of their own
    ],
)
def test_windows_are_whole_lines(boundaries, seq_len, expected):
    assert list(windows(boundaries, seq_len)) == expected


def test_line_starts():
    assert line_starts("ab\n\nc\n") == [0, 3, 4]
    assert line_starts("ab\nc") == [0, 3]


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Forty small files."""
    files = []
    for i in range(40):
        path = tmp_path / f"{i}.py"
        path.write_text(f"def f{i}(a):\n    # só {i}\n    return a.b{i}\n\n\ndef same(): pass\n")
        files.append(_stdlib.SourceFile(path.name, path, path.stat().st_size))
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_stdlib, "source_files", lambda: sorted(files))


@pytest.mark.parametrize("tokenizer", [Bytes(), BPE(vocab_size=300)])
def test_tags_of_small_files(library, tokenizer):
    data = Roles(tokenizer=tokenizer, seq_len=60)
    data.prepare()
    assert data.labels == list(ROLES)
    assert sum(map(len, data.splits.values())) == 41  # "same" is used once
    for split in data.splits:
        for example in first_examples(data, split, 50):
            text = data.vocabulary.decode(example.ids)
            tags = [data.labels[tag] for tag in example.tags.tolist() if tag != -100]
            if "same" in text:
                assert tags == ["function"]
            else:
                assert tags == ["function", "parameter", "parameter", "attribute"]


def test_files_not_windows_are_split(library):
    data = Roles(tokenizer=Bytes(), seq_len=24)  # cuts each function in two or three
    data.prepare()
    seen = {
        split: {
            data.vocabulary.decode(e.ids[e.tags >= 0]) for e in first_examples(data, split, 200)
        }
        for split in data.splits
    }
    assert all(seen.values())
    records = data.read()
    texts = [{r.texts[0] for r in part} for part in records.values()]
    assert sum(map(len, texts)) == len(set.union(*texts))


def test_a_subset_of_files_spans_all_splits(library):
    records = Roles(tokenizer=Bytes(), max_files=20).read()
    texts = [r.texts[0] for part in records.values() for r in part if "same" not in r.texts[0]]
    assert len(texts) == 20
    assert len(records["train"]) > 10


def test_lines_that_never_fit_are_refused(library):
    with pytest.raises(ValueError, match=r"no line within data.seq_len=4 tokens"):
        Roles(tokenizer=Bytes(), seq_len=4).prepare()


def test_mistakes_are_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"data.max_files=19 must be at least 20"):
        Roles(tokenizer=Bytes(), max_files=19)
    monkeypatch.setattr(_stdlib, "source_files", list)
    with pytest.raises(ValueError, match="no sources of the standard library found"):
        Roles(tokenizer=Bytes()).read()


def test_on_the_running_python():
    data = Roles(tokenizer=Bytes(), max_files=40)
    data.prepare()
    again = Roles(tokenizer=Bytes(), max_files=40)
    again.prepare()  # from the cache
    assert again.identity == data.identity
    examples = first_examples(data, "train", 10**6)
    assert len(examples) > 1000
    assert {tag for e in examples for tag in e.tags.tolist()} == {-100, *range(len(ROLES))}
    assert all(len(e.ids) == len(e.tags) <= 128 for e in examples)
    for example in examples[:500]:
        text = data.vocabulary.decode(example.ids[example.tags != -100])
        assert all(c == "_" or c.isalpha() for c in text)  # every name starts with such

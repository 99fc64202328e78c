"""Source text on files of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.sources.text import Text, contiguous
from lightning_transformer.data.tokenizers.bytes import Bytes
from lightning_transformer.data.tokenizers.characters import Characters
from tests.helpers.examples import first_examples


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    path = folder / "text"
    path.write_text("".join(f"Line {i} of a text, {i * i % 97} words long.\n" for i in range(1000)))
    return {"path": path}


LETTERS = "".join(chr(ord("a") + i % 26) for i in range(1003))


def make(path, **options) -> Text:
    options = {"tokenizer": Bytes(), "packing": Stream(), "seq_len": 4, **options}
    return Text(path=str(path), **options)


def texts(data: Text) -> dict[str, list[str]]:
    return {split: [r.texts[0] for r in records] for split, records in data.read().items()}


def test_one_file_is_cut_in_order(tmp_path):
    (tmp_path / "f.txt").write_text(LETTERS)
    found = texts(make(tmp_path / "f.txt"))
    assert found == {"train": [LETTERS[:802]], "val": [LETTERS[802:902]], "test": [LETTERS[902:]]}


def test_the_split_of_the_character_level_tradition(tmp_path):
    (tmp_path / "f.txt").write_text(LETTERS)
    found = texts(make(tmp_path / "f.txt", val_fraction=0.1, test_fraction=0))
    cut = int(0.9 * len(LETTERS))
    assert found == {"train": [LETTERS[:cut]], "val": [LETTERS[cut:]]}


@pytest.mark.parametrize("n", [1, 9, 10, 99, 1000, 1_115_394])
def test_cuts_are_not_shifted_by_rounding(n):
    parts = contiguous("x" * n, 0.2, 0.1)
    assert len(parts["train"]) == 7 * n // 10
    assert len(parts["train"] + parts["val"]) == 9 * n // 10
    assert sum(map(len, parts.values())) == n


def test_few_files_are_each_cut(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.txt").write_text(name * 10)
    found = texts(make(tmp_path / "*.txt"))
    assert found == {"train": ["a" * 8, "b" * 8], "val": ["a", "b"], "test": ["a", "b"]}


def test_many_files_are_held_out_whole(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        for i in range(40):
            (tmp_path / folder / "deep" / f"{i}.txt").write_text(f"text of number {i}")
    one = texts(make(tmp_path / "one/**/*.txt", val_fraction=0.2, test_fraction=0.2))
    assert sorted(t for part in one.values() for t in part) == sorted(
        f"text of number {i}" for i in range(40)
    )
    assert all(one.values())
    # the same names elsewhere give the same splits
    assert texts(make(tmp_path / "two/**/*.txt", val_fraction=0.2, test_fraction=0.2)) == one


def test_given_files_replace_the_fractions(tmp_path):
    for name in ("train", "val", "test"):
        (tmp_path / name).write_text(f"{name} {LETTERS}")
    data = make(tmp_path / "train", val_path=str(tmp_path / "val"))
    found = texts(data)
    assert found["val"] == [f"val {LETTERS}"]
    assert "".join(found["train"] + found["test"]) == f"train {LETTERS}"
    both = {"val_path": str(tmp_path / "val"), "test_path": str(tmp_path / "test")}
    assert texts(make(tmp_path / "train", **both))["train"] == [f"train {LETTERS}"]


def test_prepare_encodes_rows(tmp_path):
    (tmp_path / "f.txt").write_text(LETTERS)
    data = make(tmp_path / "f.txt", tokenizer=Characters(), test_fraction=0)
    data.prepare()
    assert list(data.splits) == ["train", "val"]
    assert data.vocabulary.n_text == 26
    assert data.vocabulary.decode(first_examples(data, "train", 1)[0].ids) == LETTERS[:5]
    assert data.splits["train"].n_tokens == 903


@pytest.mark.parametrize(
    ("content", "options", "match"),
    [
        ("", {}, r"data.path=.* is empty \(0 tokens in 1 files\)"),
        ("abc", {}, "data.val is empty"),
        ("abcdefghij", {"seq_len": 9}, "train split has 9 tokens, needs >= 10 for seq_len=9"),
        ("abc", {"val_fraction": 0.7, "test_fraction": 0.3}, "must be below 1"),
        ("abc", {"val_path": "missing"}, "data.val_path=missing: no such file"),
    ],
)
def test_mistakes_are_refused(tmp_path, content, options, match):
    (tmp_path / "f.txt").write_text(content)
    with pytest.raises(ValueError, match=match):
        make(tmp_path / "f.txt", **options).prepare()


def test_identity_depends_on_text_not_on_tokenizer(tmp_path):
    (tmp_path / "f.txt").write_text(LETTERS)
    digests = set()
    for tokenizer, seq_len in ((Bytes(), 4), (Characters(), 8)):
        data = make(tmp_path / "f.txt", tokenizer=tokenizer, seq_len=seq_len)
        data.prepare()
        digests.add(data.identity.sha256)
    assert len(digests) == 1
    (tmp_path / "f.txt").write_text(LETTERS + "!")
    other = make(tmp_path / "f.txt")
    other.prepare()
    assert other.identity.sha256 not in digests

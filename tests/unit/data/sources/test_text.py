"""Source text on files of the test's own."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.formats import compression, documents
from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.sources.text import Text, contiguous
from lightning_transformer.data.store import write
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
    assert data.vocabulary.decode(first_examples(data, "train", 1)[0].ids) == LETTERS[:4]
    assert data.splits["train"].n_tokens == 903


@pytest.mark.parametrize(
    ("content", "options", "match"),
    [
        ("", {}, r"data.path=.* is empty \(0 tokens in 1 files\)"),
        ("abc", {}, "data.val is empty"),
        ("abcdefghij", {"seq_len": 10}, "train split has 9 tokens, needs >= 10 for seq_len=10"),
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


DOCUMENTS = [f"document {i}\nof two lines" for i in range(60)]


@pytest.mark.parametrize(
    ("unit", "content", "expected"),
    [
        ("line", "\n \n".join(DOCUMENTS), [x for d in DOCUMENTS for x in d.split("\n")]),
        ("block", "\n\n \n".join(DOCUMENTS) + "\n\n\n", DOCUMENTS),
        ("<|endoftext|>", "<|endoftext|>\n".join(DOCUMENTS), DOCUMENTS),
        ("\x0c", "\x0c".join(DOCUMENTS) + "\x0c", DOCUMENTS),
    ],
)
def test_documents_within_a_file_go_to_a_split_by_their_hash(tmp_path, unit, content, expected):
    (tmp_path / "f.txt").write_text(content)
    if unit.isspace():
        with pytest.raises(ValueError, match="must be file, line, block, or a marker"):
            make(tmp_path / "f.txt", documents=unit)
        return
    found = texts(make(tmp_path / "f.txt", documents=unit, val_fraction=0.2, test_fraction=0.2))
    assert sorted(t for part in found.values() for t in part) == sorted(expected)
    assert all(found.values())
    assert all(set(found["train"]).isdisjoint(found[split]) for split in ("val", "test"))
    # the same documents in another file, in another order, are in the same splits
    (tmp_path / "g.txt").write_text("\n".join(sorted(expected)) if unit == "line" else content)
    other = texts(make(tmp_path / "g.txt", documents=unit, val_fraction=0.2, test_fraction=0.2))
    assert {k: set(v) for k, v in other.items()} == {k: set(v) for k, v in found.items()}


def test_a_marker_is_found_wherever_the_file_is_cut(tmp_path, monkeypatch):
    (tmp_path / "f.txt").write_text("a<|x|>\nb <| c<|x|><|x|>\n\nd\n<|x|>")
    options = {"documents": "<|x|>", "val_fraction": 0.0, "test_fraction": 0.0}
    for size in range(1, 20):
        monkeypatch.setattr(compression, "CHUNK", size)
        assert texts(make(tmp_path / "f.txt", **options))["train"] == ["a", "b <| c", "d"]


def test_a_marker_that_no_file_holds_is_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("text")
    with pytest.raises(ValueError, match=r"\*.txt does not hold the marker data.documents='lines'"):
        texts(make(tmp_path / "*.txt", documents="lines"))
    (tmp_path / "b.txt").write_text("textlinesmore")
    assert sum(map(len, texts(make(tmp_path / "*.txt", documents="lines")).values())) == 3


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("f.jsonl", "data=corpus data.text_key=text"),
        ("f.jsonl.gz", "data=corpus data.text_key=text"),
        ("f.csv", "data=corpus"),
        ("f.parquet", "data=corpus"),
        ("f.npy", "data=tokens"),
        ("f.conllu", "data=conll"),
    ],
)
def test_what_is_no_plain_text_by_its_suffix_is_refused_with_the_right_source(
    tmp_path, name, source
):
    (tmp_path / name).write_text(LETTERS)
    with pytest.raises(ValueError, match=f"{name} is no plain text by its suffix; use .*{source}"):
        make(tmp_path / name).read()


def test_any_suffix_is_read_as_plain_text_if_asked(tmp_path):
    (tmp_path / "f.jsonl").write_text(LETTERS)
    assert "".join(texts(make(tmp_path / "f.jsonl", format="text"))["train"]) == LETTERS[:802]
    with pytest.raises(ValueError, match=r"data.format=txt must be auto or text, for example auto"):
        make(tmp_path / "f.jsonl", format="txt")


def test_a_compressed_file_is_the_same_data(tmp_path):
    (tmp_path / "f.txt").write_text(LETTERS)
    (tmp_path / "f.txt.gz").write_bytes(gzip.compress(LETTERS.encode()))
    assert texts(make(tmp_path / "f.txt.gz")) == texts(make(tmp_path / "f.txt"))


@pytest.mark.parametrize("unit", ["file", "|"])
def test_a_compressed_document_too_long_for_memory_is_refused(tmp_path, monkeypatch, unit):
    """The advice is followed: one document per line."""
    monkeypatch.setattr(documents, "LONGEST", 2_000_000)
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    line = "word " * 20 + "\n"
    content = "a|b" + line * 30_000
    (tmp_path / "f.txt.gz").write_bytes(gzip.compress(content.encode()))
    with pytest.raises(ValueError, match=r"unpacks to a document of more than 2 million .* unpack"):
        list(make(tmp_path / "f.txt.gz", documents=unit).read()["train"])
    (tmp_path / "f.txt").write_text(content)  # a plain file may be read as before
    assert len(texts(make(tmp_path / "f.txt", documents=unit))) == 3
    assert next(iter(make(tmp_path / "f.txt.gz", documents="line").read()["train"]))


def test_a_small_file_that_unpacks_to_much_is_encoded_piece_by_piece(tmp_path, monkeypatch):
    """100 kB for 20 MB: the tokens are in the cache, and the text never is in memory."""
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    for name in ("GROUP", "BLOCK"):
        monkeypatch.setattr(write, name, 1 << 17)
    lines = [f"{i} {'word ' * 20_000}\n" for i in range(200)]
    (tmp_path / "f.txt.gz").write_bytes(gzip.compress("".join(lines).encode()))
    del lines
    assert (tmp_path / "f.txt.gz").stat().st_size < 200_000
    data = make(tmp_path / "f.txt.gz", documents="line")
    tracemalloc.start()
    data.prepare()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(split.n_tokens for split in data.splits.values()) > 20e6
    assert peak < 10e6

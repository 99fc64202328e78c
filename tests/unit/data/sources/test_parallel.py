"""Source parallel on files of the test's own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.sources.parallel import ParallelText
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    source, target = folder / "source", folder / "target"
    source.write_text("".join(f"The number is {i}.\n" for i in range(1000)))
    target.write_text("".join(f"Die Zahl ist {i}.\n" for i in range(1000)))
    return {"source": source, "target": target}


@pytest.fixture
def make(tmp_path):
    def write(**files: str) -> dict[str, str]:
        for name, content in files.items():
            (tmp_path / name).write_text(content)
        return {name: str(tmp_path / name) for name in files}

    def maker(files: dict[str, str], **options) -> ParallelText:
        return ParallelText(tokenizer=Bytes(), **write(**files), **options)

    return maker


def lines(prefix: str, numbers) -> str:
    return "".join(f"{prefix} {i}\n" for i in numbers)


def test_lines_are_paired_and_equal_sources_stay_together(make):
    sources = lines("s", [i % 100 for i in range(300)])
    data = make({"source": sources, "target": lines("t", range(300))})
    records = data.read()
    pairs = sorted((r.texts for part in records.values() for r in part), key=lambda p: p[1])
    assert pairs == sorted(((f"s {i % 100}", f"t {i}") for i in range(300)), key=lambda p: p[1])
    parts = [{r.texts[0] for r in part} for part in records.values()]
    assert sum(map(len, parts)) == 100
    assert list(records) == ["train", "val", "test"]


def test_given_files_replace_the_fractions(make):
    files = {
        "source": lines("s", range(50)),
        "target": lines("t", range(50)),
        "val_source": "v\n",
        "val_target": "w\n",
    }
    records = make(files, test_fraction=0.0).read()
    assert [r.texts for r in records["val"]] == [("v", "w")]
    assert len(list(records["train"])) == 50
    assert "test" not in records


def test_examples_hold_both_sides_cut_to_seq_len(make, caplog):
    files = {"source": "abc\n", "target": "défg\n"}
    data = make(files, val_fraction=0.0, test_fraction=0.0, seq_len=3)
    with caplog.at_level(logging.INFO):
        data.prepare()
    (example,) = first_examples(data, "train", 1)
    assert data.vocabulary.decode(example.source) == "abc"
    assert data.vocabulary.decode(example.target) == "dé"
    assert "1 of 1 examples are longer than seq_len=3: truncated" in caplog.text


def test_pairs_with_an_empty_side_are_dropped_and_counted(make, caplog):
    files = {"source": "a\n\nc\n \ne", "target": "A\nB\n\nD\nE\n"}
    with caplog.at_level(logging.INFO):
        records = make(files, val_fraction=0.0, test_fraction=0.0).read()
        assert [r.texts for r in records["train"]] == [("a", "A"), ("e", "E")]
    assert "3 pairs with an empty line dropped" in caplog.text


@pytest.mark.parametrize(
    ("files", "options", "match"),
    [
        ({"source": "a\nb\n", "target": "a\n"}, {}, r"source has 2 lines, .*target has 1;"),
        ({"source": "", "target": ""}, {}, "data.train is empty"),
        ({"source": "a\n", "target": "b\n"}, {"val_source": "x"}, "needs data.val_target as well"),
        ({"source": "a\n", "target": "b\n"}, {"test_target": "x"}, "needs data.test_source as"),
        (
            {"source": "a\n", "target": "b\n"},
            {"val_fraction": 1.5},
            r"must be at least 0 and below 1",
        ),
    ],
)
def test_mistakes_are_refused(make, files, options, match):
    with pytest.raises(ValueError, match=match):
        make(files, **options).prepare()

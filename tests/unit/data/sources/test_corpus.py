"""Source corpus on files of the test's own."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.packing.documents import Documents
from lightning_transformer.data.sources.corpus import Corpus
from lightning_transformer.data.tokenizers.bytes import Bytes


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    path = folder / "corpus.jsonl"
    rows = ({"text": f"Document {i} of a corpus, {i * i % 97} words long.\n"} for i in range(1000))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"path": path}


def make(path: Path, **options) -> Corpus:
    options = {"tokenizer": Bytes(), "packing": Documents(), "seq_len": 4, **options}
    return Corpus(path=str(path), **options)


def texts(data: Corpus) -> dict[str, list[str]]:
    return {split: [r.texts[0] for r in records] for split, records in data.read().items()}


DOCUMENTS = [f" document {i}\nof two lines " for i in range(100)]


def test_documents_of_many_packed_files_go_to_a_split_by_their_hash(tmp_path):
    for part in range(4):
        lines = [json.dumps({"meta": {"body": d}}) for d in DOCUMENTS[part::4]]
        (tmp_path / f"{part}.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    options = {"text_key": "meta.body", "val_fraction": 0.2, "test_fraction": 0.2}
    found = texts(make(tmp_path / "*.jsonl.gz", **options))
    assert sorted(d for part in found.values() for d in part) == sorted(DOCUMENTS)
    assert all(found.values())
    (tmp_path / "one.json").write_text(json.dumps([{"text": d} for d in DOCUMENTS]))
    options["text_key"] = "text"
    other = texts(make(tmp_path / "one.json", **options))
    assert {k: set(v) for k, v in other.items()} == {k: set(v) for k, v in found.items()}


def test_documents_end_in_the_rows_and_empty_ones_are_none(tmp_path):
    rows = "".join(json.dumps({"text": text}) + "\n" for text in ("ab", " ", "", "cde"))
    (tmp_path / "f.jsonl").write_text(rows)
    data = make(tmp_path / "f.jsonl", val_fraction=0.0, test_fraction=0.0)
    data.prepare()
    assert data.splits["train"].n_tokens == len("ab.cde.")


def test_a_parquet_file(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    pyarrow.parquet.write_table(pa.table({"text": DOCUMENTS}), tmp_path / "f.parquet")
    found = texts(make(tmp_path / "f.parquet"))
    assert sorted(d for part in found.values() for d in part) == sorted(DOCUMENTS)


def test_given_files_win(tmp_path):
    for name in ("f", "v"):
        (tmp_path / f"{name}.csv").write_text(f"text\n{name}\n")
    data = make(tmp_path / "f.csv", val_path=str(tmp_path / "v.csv"), test_fraction=0.0)
    assert texts(data) == {"train": ["f"], "val": ["v"]}

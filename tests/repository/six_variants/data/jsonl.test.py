"""Source jsonl on files of the test's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.sources.jsonl import JsonLines
from lightning_transformer.data.tokenizers.bytes import Bytes


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    path = folder / "documents.jsonl"
    rows = ({"text": f"Document {i} of many, {i * i % 97} words long.\n"} for i in range(600))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"path": path}


def make(path: str, **options: Any) -> JsonLines:
    return JsonLines(path=str(path), tokenizer=Bytes(), packing=Stream(), seq_len=8, **options)


def test_each_document_is_in_one_split(tmp_path: Path) -> None:
    records = make(small_options(tmp_path)["path"]).read()
    texts = {split: {record.texts[0] for record in found} for split, found in records.items()}
    assert sum(map(len, texts.values())) == 600
    assert len(texts["train"]) > 400
    assert len(set.union(*texts.values())) == 600


def test_a_missing_key_is_refused(tmp_path: Path) -> None:
    path = small_options(tmp_path)["path"]
    with pytest.raises(ValueError, match=r"documents.jsonl:1: no key 'body'; found: text"):
        make(path, text_key="body").prepare()

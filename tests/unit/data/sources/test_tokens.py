"""Source tokens on files of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_transformer.data.packing.documents import Documents
from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.sources.tokens import TokenIds
from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.helpers.examples import first_examples


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    path = folder / "tokens.npy"
    text = "".join(f"Line {i} of a text, {i * i % 97} words long.\n" for i in range(1000))
    np.save(path, np.frombuffer(text.encode(), dtype=np.uint8))
    return {"path": path}


IDS = (np.arange(1000) * 31 % 250).astype(np.uint16)


@pytest.fixture
def make(tmp_path):
    def maker(ids: Any = IDS, **options) -> TokenIds:
        np.save(tmp_path / "f.npy", ids)
        given = {"tokenizer": Bytes(), "packing": Stream(), "seq_len": 4, **options}
        return TokenIds(path=str(tmp_path / "f.npy"), **given)

    return maker


def test_the_end_of_a_file_is_held_out_and_every_id_is_used(make):
    data = make()
    data.prepare()
    assert [data.splits[s].n_tokens for s in ("train", "val", "test")] == [801, 101, 101]
    (row,) = first_examples(data, "val", 1)
    assert row.ids[-4:].tolist() == IDS[800 if row.ids[0] != IDS[800] else 801 :][:4].tolist()


def test_documents_end_at_their_id_and_go_to_a_split_by_their_hash(make):
    documents = [np.full(3, i, dtype=np.uint16) for i in range(200)]
    ids = np.concatenate([np.append(d, 255) for d in documents])
    options = {"eos_id": 255, "val_fraction": 0.2, "test_fraction": 0.2}
    data = make(ids, packing=Documents(), **options)
    data.prepare()
    n = {split: rows.n_tokens for split, rows in data.splits.items()}
    counts = {split: len(list(records)) for split, records in data.read().items()}
    assert sum(counts.values()) == 200
    assert all(counts.values())
    for split in n:
        seen = {int(i) for row in first_examples(data, split, 999) for i in row.ids}
        assert 255 not in seen
        assert data.vocabulary.eos_id in seen
    # another order and another type of the same ids: the same documents in each split
    digests = {s: {r.texts for r in records} for s, records in data.read().items()}
    other = make(
        np.concatenate([np.append(255, d) for d in documents[::-1]]).astype(int), **options
    )
    assert {s: {r.texts for r in records} for s, records in other.read().items()} == digests


def test_given_files_win(make, tmp_path):
    np.save(tmp_path / "v.npy", IDS[:50])
    data = make(val_path=str(tmp_path / "v.npy"), test_fraction=0.0)
    data.prepare()
    assert {s: rows.n_tokens for s, rows in data.splits.items()} == {"train": 1001, "val": 51}


@pytest.mark.parametrize(
    ("ids", "options", "match"),
    [
        (
            IDS + 100,
            {},
            "data.train holds the id 349, but the tokenizer has 0 to 255; use tokenizer=",
        ),
        (-IDS.astype(int), {}, "data.train holds the id -249, but"),
        (IDS[:0], {}, r"is empty \(0 tokens in 1 files\)"),
        (IDS[:20], {"seq_len": 30}, "train split has 17 tokens, too few for data.seq_len=30; use "),
    ],
)
def test_mistakes_are_refused(make, ids, options, match):
    with pytest.raises(ValueError, match=match):
        make(ids, **options).prepare()


def test_what_cannot_work_is_refused_before_reading(make):
    with pytest.raises(
        ValueError, match="has no text to learn a tokenizer from; use tokenizer=file"
    ):
        make(tokenizer=BPE())
    with pytest.raises(
        ValueError, match="packing=documents needs to know where documents end; use"
    ):
        make(packing=Documents())
    with pytest.raises(ValueError, match=r"data.dtype=f4 must be null or one of uint8"):
        make(dtype="f4")

"""Cleaned records on disk are read as they were written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lightning_transformer.data.cleaning.spool import Spool
from lightning_transformer.data.split import Record

RECORDS = [
    Record(("one\ntwo\r\n", "zwei\u2028é")),
    Record(("",), "label", "document"),
    Record(("lone \ud800",), [[0, "B-X"], [4, "O"]]),
    Record(("\x00\x1f",), 0.1),
]


def test_records_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    spool = Spool(folder)
    assert list(spool.keep("train", iter(RECORDS))) == RECORDS
    assert list(spool.keep("test", iter([]))) == []
    assert spool.report() is None
    spool.finish([{"stage": "x"}])
    again = Spool(folder)
    assert again.report() == [{"stage": "x"}]
    found = again.records(["train", "test"])
    assert [list(found[split]) for split in ("train", "train", "test")] == [RECORDS, RECORDS, []]
    again.remove()
    assert not folder.exists()


def test_what_is_not_wholly_removed_counts_as_incomplete(tmp_path: Path, monkeypatch) -> None:
    spool = Spool(tmp_path)
    spool.keep("train", iter(RECORDS))
    spool.finish([])

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        spool.remove()
    assert Spool(tmp_path).report() is None


def test_a_damaged_report_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "cleaned.json").write_text('[{"stage"')
    assert Spool(tmp_path).report() is None

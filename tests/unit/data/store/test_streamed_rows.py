"""The file that keeps the rows of a stream."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.cli.clean_command import clean
from lightning_transformer.data.store.streamed_rows import read_rows, streamed_file


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))


def test_rows_come_back_as_they_were() -> None:
    rows: list[dict[str, Any]] = [
        {"text": "é\n\u2028", "n": 3, "x": 0.1, "none": None, "list": ["a", "b"], "t": {"de": "x"}},
        {"text": "", "day": datetime.date(2026, 1, 1)},
    ]
    found = list(read_rows(streamed_file("name", lambda: rows)))
    assert found == [rows[0], {"text": "", "day": {"type": "date"}}]


def test_equal_rows_leave_the_file_as_it_is_and_others_do_not() -> None:
    file = streamed_file("name", lambda: [{"text": "a"}])
    before = file.stat()
    assert streamed_file("name", lambda: [{"text": "a"}]) == file
    same = file.stat()
    assert (same.st_ino, same.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    streamed_file("name", lambda: [{"text": "b"}])
    assert list(read_rows(file)) == [{"text": "b"}]
    assert streamed_file("other", lambda: [{"text": "c"}]) != file


def test_what_broke_off_is_not_taken_for_the_rows() -> None:
    def broken() -> Any:
        yield {"text": "a"}
        raise ValueError("broke off")

    with pytest.raises(ValueError, match="broke off"):
        streamed_file("name", broken)
    file = streamed_file("name", lambda: [{"text": "a"}, {"text": "b"}])
    assert len(list(read_rows(file))) == 2
    assert [entry.name for entry in file.parent.iterdir() if entry.name.endswith(".part")] == []


def test_clean_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    streamed_file("name", lambda: [{"text": "a"}])
    assert clean([]) == 0
    assert ": rows of a streamed data set" in capsys.readouterr().out
    assert clean(["--all"]) == 0
    assert "left 0, " in capsys.readouterr().out

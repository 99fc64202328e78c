"""The table of options is written between its marks, and nothing else is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_transformer.cards.table import BEGIN, END, with_table, write_table

TEXT = f"before\n{BEGIN}\n\n| group | options |\n|---|---|\n| `b` | old |\n\n{END}\nafter\n"


def test_order_is_kept_and_new_groups_follow() -> None:
    found = with_table(TEXT, {"a": ["x"], "b": ["y", "z"]})
    rows = "| `b` | y z |\n| `a` | x |"
    assert found == TEXT.replace("| `b` | old |", rows)
    assert with_table(found, {"a": ["x"], "b": ["y", "z"]}) == found


def test_a_group_that_is_gone_goes() -> None:
    assert "`b`" not in with_table(TEXT, {"a": ["x"]})


def test_without_marks_it_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("nothing")
    with pytest.raises(ValueError, match=r"README.md: the marks .* are missing") as caught:
        write_table(file, {})
    assert "\n" not in str(caught.value)
    assert file.read_text() == "nothing"

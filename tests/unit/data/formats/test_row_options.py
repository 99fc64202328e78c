"""Rows of every format: the same values, or one line that says what is wrong."""

from __future__ import annotations

import csv
import datetime
import io
import json
import sys

import pytest

from lightning_transformer.data.formats import compression
from lightning_transformer.data.formats.row_options import RowOptions

KEYS = ("text", "label")


def read_rows(path: str, keys=KEYS, *, key: str = "data.path", **options) -> list:
    return [values for _, values in RowOptions(**options).read(path, keys, key=key)]


def refused(path: str, keys=KEYS, *, match: str, **options) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        read_rows(path, keys, **options)
    assert "\n" not in str(caught.value)


ROWS = [("a, b", "1"), ('say "é"', "two")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.jsonl", '{"text": "a, b", "label": 1}\n\n{"label": "two", "text": "say \\"é\\""}'),
        ("f.json", '[{"text": "a, b", "label": 1},\n {"label": "two", "text": "say \\"é\\""}]'),
        ("f.csv", 'label,text\r\n1,"a, b"\r\ntwo,"say ""é"""\r\n'),
        ("F.TSV", 'text\tother\tlabel\na, b\tx\t1\n"say ""é"""\ty\ttwo\n'),
    ],
)
def test_rows_of_every_kind_of_file(write, name, content):
    assert read_rows(write(name, content), KEYS, key="k") == ROWS


def test_line_breaks_inside_fields(write):
    path = write("f.csv", 'text,label\n"a\nb\u2028c",1\nd\u2028e,2\n')
    assert read_rows(path, KEYS, key="k") == [("a\nb\u2028c", "1"), ("d\u2028e", "2")]


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("f.jsonl", '{"text": "a", "label": 1}\n{"text" "b"}', r"f.jsonl:2: Expecting ':' delim"),
        ("f.json", '[{"text": "a", "label": 1},\n}]', r"f.json:2: Expecting value"),
        ("f.jsonl", '{"txt": "a", "label": 1}', r"f.jsonl:1: no key 'text'; found: label, txt"),
        ("f.jsonl", '"text"', r"f.jsonl:1: no key 'text'; found: no keys"),
        (
            "f.jsonl",
            '{"text": ["a"], "label": 1}',
            r"key 'text' must hold text or a number; got list",
        ),
        ("f.csv", "txt,label\na,1\n", r"f.csv:1: no column 'text'; found: txt, label"),
        ("f.csv", "", r"f.csv:1: no column 'text'; found: no columns"),
        ("f.csv", "text,label\na,1\nb\n", r"f.csv:3: expected 2 fields"),
        ("f.csv", "text,label\na,1,2\n", r"f.csv:2: expected 2 fields"),
        ("f.csv", 'text,label\n"a,1\n', r"f.csv:\d+: unexpected end of data"),
        ("f.xml", "x", r"unknown kind of file '.xml'; use .jsonl, .json, .csv, .tsv, "),
    ],
)
def test_malformed_rows_are_named_with_file_and_line(write, name, content, match):
    refused(write(name, content), match=match)


def test_long_fields_are_read(write):
    text = "x" * 200_000
    assert read_rows(write("f.csv", f"text,label\n{text},1\n"), KEYS, key="k") == [(text, "1")]


def test_balanced_quotes_over_lines_of_tabs_do_not_join_rows(write):
    path = write("f.tsv", 'text\tlabel\n"a\tx\nb"\ty\n')
    refused(path, match=r"f.tsv:2: a field in quotes goes on until line 3; .*data.quote=null")
    assert read_rows(path, quote=None) == [('"a', "x"), ('b"', "y")]
    assert read_rows(path, quote='"') == [("a\tx\nb", "y")]


def test_one_quote_in_a_line_of_tabs_is_refused_or_text(write):
    path = write("f.tsv", 'text\tlabel\n"a\tx\nb\ty\n')
    refused(path, match=r"f.tsv:\d: .*use data.quote=null")
    assert read_rows(path, quote=None) == [('"a', "x"), ("b", "y")]
    refused(write("g.tsv", 'text\tlabel\n"a" b\tx\n'), match=r"g.tsv:2: .*use data.quote=null")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.csv", "text,text,label\na,b,c\n"),
        ("f.csv", "text, text,label\na,b,c\n"),
        ("f.tsv", "label\ttext\ttext\nc\ta\tb\n"),
    ],
)
def test_a_column_that_is_there_twice_is_refused(write, name, content):
    refused(write(name, content), match=r":1: 2 columns are called 'text'; rename them, or")


def test_a_column_that_nobody_asks_for_may_be_there_twice(write):
    assert read_rows(write("f.csv", "text,x,x,label\na,1,2,b\n")) == [("a", "b")]


def test_a_key_that_is_there_twice_is_refused(write):
    match = r":1: key 'text' occurs twice in one object; keep one"
    for name, content in (
        ("f.jsonl", '{"text": 1, "text": 2}'),
        ("f.json", '[{"text": 1, "text": 2}]'),
    ):
        refused(write(name, content), match=match)


def test_spaces_behind_commas_are_no_part_of_fields_and_names(write):
    path = write("f.csv", 'text, label\n"a, b", "c"\n')
    assert read_rows(path) == [("a, b", "c")]


def test_delimiter_names_and_quotes_can_be_given(write):
    path = write("f.txt", "a|'b|c'\n")
    options = {"format": "csv", "delimiter": "|", "quote": "'", "columns": ["label", "text"]}
    assert read_rows(path, **options) == [("b|c", "a")]
    path = write("g.csv", "a\tb\n")
    assert read_rows(path, delimiter="\\t", columns=["text", "label"]) == [("a", "b")]


def test_what_has_no_effect_is_refused(write):
    path = write("f.jsonl", '{"text": "a", "label": "b"}\n')
    for name, value in (("delimiter", ","), ("quote", None), ("columns", ["text", "label"])):
        refused(path, match=rf"data.{name} has no effect on f.jsonl", **{name: value})


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            {"format": "xml"},
            r"data.format=xml must be auto, jsonl, json, csv, tsv, parquet, arrow, hub",
        ),
        ({"delimiter": "||"}, r"data.delimiter='\|\|' must be one character"),
        ({"quote": "''"}, r"data.quote=\"''\" must be auto, one character, or null"),
    ],
)
def test_options_outside_their_range_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        RowOptions(**options)


def test_markers_of_no_value(write):
    path = write("f.csv", "text,label\na,NA\n,b\n")
    assert read_rows(path) == [("a", "NA"), ("", "b")]
    assert read_rows(path, null_values=["", "NA"]) == [("a", None), (None, "b")]
    path = write("f.jsonl", '{"text": null, "label": NaN}\n{"text": "-", "label": 1}\n')
    assert read_rows(path, null_values=["-"]) == [(None, None), (None, "1")]


def test_keys_within_keys(write):
    item = {"a": {"b": {"c": "x"}, "d.e": {"f": "y"}}, "g.h": "z"}
    path = write("f.jsonl", json.dumps(item))
    assert read_rows(path, ("a.b.c", "a.d.e.f", "g.h")) == [("x", "y", "z")]
    refused(path, ("a.b.x",), match="no key 'a.b.x'; found: a, g.h")
    refused(path, ("a.b",), match="key 'a.b' must hold text or a number; got dict")


def test_half_a_character_is_refused(write):
    path = write(
        "f.jsonl", '{"text": "\\ud83d\\ude00", "label": 1}\n{"text": "\\ud83d", "label": 1}'
    )
    refused(path, match=r"f.jsonl:2: key 'text' holds \\ud83d, half of a character; write the")


def test_a_list_in_a_later_line_is_no_array(write):
    refused(write("f.jsonl", '{"text": 1, "label": 2}\n[1]'), match=r"f.jsonl:2: no key 'text'")
    refused(write("f.json", '{"text": 1, "label": 2}\n[1'), match=r"f.json:2: Expecting ',' delim")


def test_an_array_behind_much_white_space(write, monkeypatch):
    monkeypatch.setattr(compression, "CHUNK", 2)
    content = " \n" * 9 + '[{"text": 1, "label": 2}]'
    assert (
        read_rows(write("f.json", content)) == read_rows(write("f.jsonl", content)) == [("1", "2")]
    )


def test_an_array_is_read_item_by_item(write, monkeypatch):
    items = [{"text": "ä" * i, "label": i, "more": [{"x": [i]}]} for i in range(40)]
    path = write("f.json", json.dumps(items, indent=1, ensure_ascii=False))
    for size in (3, 7, 1000):
        monkeypatch.setattr(compression, "CHUNK", size)
        assert read_rows(path) == [(item["text"], str(item["label"])) for item in items]
    assert read_rows(write("g.json", " [ ] \n")) == []
    refused(write("g.json", '[{"text": 1, "label": 2}'), match=r"g.json:1: Expecting ',' delimiter")
    refused(write("g.json", '[{"text": 1, "label": 2}\n] x'), match=r"g.json:2: Extra data")


def test_lines_in_a_json_file_and_an_array_in_a_jsonl_file(write):
    lines, array = '{"text": 1, "label": 2}\n', '[\n{"text": 1, "label": 2}]'
    assert read_rows(write("f.json", lines * 2)) == [("1", "2")] * 2
    assert read_rows(write("f.jsonl", array)) == [("1", "2")]
    assert read_rows(write("f.jsonl", '[{"text": 1, "label": 2}]')) == [("1", "2")]


# ---- Parquet and Arrow


def table(write, name: str, columns: dict) -> str:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.ipc
    import pyarrow.parquet

    path, data = write(name, b""), pa.table(columns)
    if name.endswith(".parquet"):
        pyarrow.parquet.write_table(data, path, row_group_size=2)
    elif name.endswith(".feather"):
        with pyarrow.ipc.new_file(path, data.schema) as out:
            out.write_table(data, max_chunksize=2)
    else:
        with pyarrow.ipc.new_stream(path, data.schema) as out:
            out.write_table(data, max_chunksize=2)
    return path


NAMES = ["f.parquet", "f.arrow", "f.feather"]


@pytest.mark.parametrize("name", NAMES)
def test_columns_of_binary_tables(write, name):
    columns = {
        "label": [1.5, float("nan"), None],
        "text": ["a", "b", "é"],
        "more": [{"x": {"y": "p"}}, None, {"x": {"y": "q"}}],
        "other": [[1], [2], [3]],
    }
    path = table(write, name, columns)
    assert read_rows(path) == [("a", "1.5"), ("b", None), ("é", None)]
    assert read_rows(path, ("more.x.y",)) == [("p",), (None,), ("q",)]
    refused(path, ("txt",), match=r"no column 'txt'; found: label, text, more, other")
    refused(path, ("more.z",), match=r"no key 'z' in column 'more'; found: x")
    refused(path, ("other",), match=r":1: key 'other' must hold text or a number; got list")
    refused(path, ("text",), match="data.columns has no effect", columns=["text"])


@pytest.mark.parametrize("name", NAMES)
def test_binary_tables_that_are_damaged_or_packed_are_refused(write, name):
    path = table(write, name, {"text": ["a"], "label": [datetime.date(2000, 1, 1)]})
    refused(path, match="'label' must hold text or a number; got date")
    with open(path, "rb") as file:
        content = file.read()
    refused(write(name, content[: len(content) // 2]), match=r"is no readable .* file \(")
    refused(write(f"{name}.gz", content), match="is compressed inside .*; unpack it")


def test_the_library_that_is_missing_is_named(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused(
        write("f.parquet", b""), match=r"needs the package pyarrow; pip install '.*\[parquet\]'"
    )


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_what_python_writes_is_read(write, delimiter):
    rows = [('say "é"', "1"), (f"a{delimiter}b", "2"), ("c", "3")]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows([KEYS, *rows])
    assert read_rows(write("f.csv", out.getvalue()), delimiter=delimiter) == rows

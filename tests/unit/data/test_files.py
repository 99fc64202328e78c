"""Reading the files of users: every mistake gets one line that says what to do."""

from __future__ import annotations

import pytest

from lightning_transformer.data.files import matching_files, read_rows, read_text

KEYS = ("text", "label")


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def writer(name: str, content: str | bytes) -> str:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
        return name

    return writer


def refused(call, *args, match: str, **options) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        call(*args, **options)
    assert "\n" not in str(caught.value)


def test_reads_utf8_drops_mark_and_carriage_returns(write):
    assert read_text(write("f", b"\xef\xbb\xbfa\r\n\xc3\xa9\x00\r\n"), key="k") == "a\né\x00\n"


def test_a_line_of_megabytes_is_read(write):
    text = "wörd " * 2_000_000
    assert read_text(write("f", text), key="k") == text


def test_missing_file_names_folder_and_closest(write, tmp_path):
    write("corpus.txt", "x")
    write("zzz", "x")
    match = rf"data.path=corpsu.txt: no such file \(working folder {tmp_path}\).*: corpus.txt"
    refused(read_text, "corpsu.txt", key="data.path", match=match)
    refused(read_text, "no/f", key="data.path", match="there is no folder no")
    refused(read_text, "bok.md", key="data.path", match=r"nothing in \. has a similar name")


def test_folder_instead_of_file(tmp_path):
    refused(read_text, str(tmp_path), key="data.path", match=r"is a folder; give a file")


def test_other_encodings_are_refused_with_the_byte(write):
    path = write("latin", "naïve".encode("latin-1"))
    refused(read_text, path, key="data.path", match=r"latin is not UTF-8 at byte 2 \(0xef\)")


def test_patterns_give_files_in_order(write, tmp_path):
    for name in ("b.txt", "a.txt", "c.md"):
        write(name, "x")
    (tmp_path / "d.txt").mkdir()
    assert [p.name for p in matching_files("*.txt", key="k")] == ["a.txt", "b.txt"]
    assert [p.name for p in matching_files("c.md", key="k")] == ["c.md"]
    refused(matching_files, "*.rst", key="data.path", match=r"data.path=\*.rst matches no file")


def test_a_file_whose_name_looks_like_a_pattern(write):
    write("[a].txt", "x")
    assert [p.name for p in matching_files("[a].txt", key="k")] == ["[a].txt"]


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
        ("f.jsonl", '{"text": ["a"], "label": 1}', r"key 'text' must hold text; got list"),
        ("f.csv", "txt,label\na,1\n", r"f.csv:1: no column 'text'; found: txt, label"),
        ("f.csv", "", r"f.csv:1: no column 'text'; found: no columns"),
        ("f.csv", "text,label\na,1\nb\n", r"f.csv:3: expected 2 fields"),
        ("f.csv", "text,label\na,1,2\n", r"f.csv:2: expected 2 fields"),
        ("f.csv", 'text,label\n"a,1\n', r"f.csv:\d+: unexpected end of data"),
        ("f.xml", "x", r"unknown kind of file '.xml'; use .jsonl, .json, .csv or .tsv"),
    ],
)
def test_malformed_rows_are_named_with_file_and_line(write, name, content, match):
    refused(read_rows, write(name, content), KEYS, key="data.path", match=match)


def test_long_fields_are_read(write):
    text = "x" * 200_000
    assert read_rows(write("f.csv", f"text,label\n{text},1\n"), KEYS, key="k") == [(text, "1")]

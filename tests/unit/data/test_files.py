"""Reading the files of users: every mistake gets one line that says what to do."""

from __future__ import annotations

import gzip

import pytest

from lightning_transformer.data.files import lines, matching_files, pieces, read_text
from lightning_transformer.data.formats import compression


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


def test_the_text_does_not_depend_on_where_a_file_is_cut_into_chunks(write, monkeypatch):
    content = "aé\r\n\r\n€b\r\ufeffc\n".encode() * 5
    path = write("f", content)
    whole = content.decode().replace("\r\n", "\n").replace("\ufeff", "")
    for size in range(1, 12):
        monkeypatch.setattr(compression, "CHUNK", size)
        assert "".join(pieces(path, key="k")) == whole
        assert list(lines(path, key="k")) == whole.removesuffix("\n").split("\n")


def test_marks_within_a_file_put_together_from_others_are_dropped(write):
    assert read_text(write("f", b"\xef\xbb\xbfa\n" * 2), key="k") == "a\na\n"


def test_the_byte_that_is_not_utf8_is_counted_from_the_start(write, monkeypatch):
    monkeypatch.setattr(compression, "CHUNK", 4)
    refused(read_text, write("f", b"abc\xc3\xa9abc\xff"), key="k", match=r"byte 8 \(0xff\)")
    refused(read_text, write("f", b"abc\xe2\x82"), key="k", match=r"byte 3 \(0xe2\)")


def test_an_empty_file_and_its_lines(write):
    assert read_text(write("f", b""), key="k") == ""
    assert list(lines(write("f", b""), key="k")) == []
    assert list(lines(write("f", b"a\n\nb"), key="k")) == ["a", "", "b"]
    assert list(lines(write("f", b"\n\n"), key="k")) == ["", ""]


def test_a_compressed_file_without_its_suffix_is_told_by_its_content(write):
    path = write("f.txt", gzip.compress(b"a" * 100))
    refused(read_text, path, key="k", match=r"no text but a .gz file .* rename it to f.txt.gz")
    path = write("g.txt", b"PAR1\xff")
    refused(read_text, path, key="k", match=r"a .parquet file .* rename it to g.txt.parquet")

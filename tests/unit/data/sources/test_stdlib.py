"""Reading the standard library, on a small library of the test's own and on the real one."""

from __future__ import annotations

import logging
import os
import sys
import sysconfig

import pytest

from lightning_transformer.data.sources import _stdlib

LONG = "A docstring" + " that is long" * 10


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A tiny library, and a cache of its own."""
    sources = {
        "b.py": f'"""{LONG}"""\ndef f():\n    """Short."""\n',
        "a/__init__.py": 'class A:\n    """Lone \\ud800 surrogate."""\n',
        "a/latin.py": "# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"),
        "a/broken.py": "def (:\n",
        "a/bytes.py": b"x = '\xff'\n",
        "a/test/t.py": '"""A test."""\n',
        "encodings/e.py": '"""A table."""\n',
        "site-packages/p.py": '"""Not ours."""\n',
        "config-3/c.py": '"""Of the machine."""\n',
        "_sysconfigdata_x.py": '"""Of the machine."""\n',
        "note.txt": "not Python",
    }
    for name, content in sources.items():
        path = tmp_path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path / "lib")})
    return tmp_path / "lib"


def test_files_are_listed_by_name_without_tests_and_tables(library):
    names = [file.name for file in _stdlib.source_files()]
    assert names == ["a/__init__.py", "a/broken.py", "a/bytes.py", "a/latin.py", "b.py"]
    assert _stdlib.source_files()[4].size == (library / "b.py").stat().st_size


def test_sources_are_decoded_as_they_declare(library):
    texts = {file.name: _stdlib.read_source(file) for file in _stdlib.source_files()}
    assert "é" in texts["a/latin.py"]
    assert texts["a/bytes.py"] is None


def test_docstrings_by_file(library):
    assert _stdlib.docstrings() == {
        "a/__init__.py": ["Lone ? surrogate."],
        "b.py": [LONG, "Short."],
    }


def test_docstrings_come_from_the_cache_until_a_file_changes(library, monkeypatch):
    _stdlib.docstrings()
    monkeypatch.setattr(_stdlib, "_docstrings_of", lambda text: ["computed again"])
    assert _stdlib.docstrings()["b.py"] == [LONG, "Short."]
    (library / "c.py").write_text("x = 1\n")
    assert _stdlib.docstrings()["b.py"] == ["computed again"]


def test_the_cache_depends_on_the_version_of_python(library, monkeypatch):
    _stdlib.docstrings()
    monkeypatch.setattr(_stdlib, "_docstrings_of", lambda text: ["computed again"])
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    assert _stdlib.docstrings()["b.py"] == ["computed again"]


def test_no_sources_is_said_in_one_line(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path / "none")})
    with caplog.at_level(logging.INFO):
        assert _stdlib.docstrings() == {}
    assert len([r for r in caplog.records if "only the language reference" in r.message]) == 1


def test_topics_are_sorted_and_long():
    topics = _stdlib.topics()
    assert list(topics) == sorted(topics)
    assert sum(map(len, topics.values())) > 400_000


def test_missing_topics_are_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(ValueError, match="this Python has no module pydoc_data") as caught:
        _stdlib.topics()
    assert "\n" not in str(caught.value)


def test_the_real_library_has_what_the_sources_need():
    names = [file.name for file in _stdlib.source_files()]
    assert len(names) > 300
    assert {"argparse.py", "json/decoder.py", "asyncio/tasks.py"} <= set(names)
    assert not any(os.sep + "test" + os.sep in name for name in names)


def test_the_cache_depends_on_the_code_that_computes(library, tmp_path):
    code, values = tmp_path / "code.py", iter([1, 2, 3])

    def found(content: str) -> int:
        code.write_text(content)
        return _stdlib.cached_over("x", _stdlib.source_files(), str(code), lambda: next(values))

    assert [found("one"), found("one"), found("two")] == [1, 1, 2]

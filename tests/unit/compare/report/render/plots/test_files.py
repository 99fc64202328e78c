"""The script of a page is made once, and again where its cached copy is broken."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
import vl_convert

from lightning_transformer.compare.report.render.plots import files


def test_the_script_is_cached_and_made_again_where_the_copy_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def bundle(snippet: str, *, vl_version: str) -> str:
        made.append(vl_version)
        return f"script {len(made)}: {snippet}"

    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path))
    monkeypatch.setattr(vl_convert, "javascript_bundle", bundle)
    first = files.javascript()
    assert first == f"script 1: {files.SCRIPT}"
    assert files.javascript() == first
    assert made == [files.VEGA_LITE]
    (copy,) = (tmp_path / "lightning_transformer").iterdir()
    assert version("vl-convert-python") in copy.name  # another version makes its own
    copy.write_text(copy.read_text(encoding="utf-8")[:9], encoding="utf-8")
    assert files.javascript() == f"script 2: {files.SCRIPT}"
    monkeypatch.setattr(files, "version", lambda name: "0")
    assert files.javascript() == f"script 3: {files.SCRIPT}"

"""The site: every page is in its navigation, and it builds without a warning or a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "lightning_transformer"


def pages(nav: Any) -> Iterator[str]:
    """The files of a navigation, at any depth."""
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from pages(entry)


def test_the_navigation_lists_every_page_once() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = list(pages(site["nav"]))
    assert len(listed) == len(set(listed))
    assert sorted(listed) == sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))


def test_the_site_asks_no_font_server() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert site["theme"]["font"] is False


def test_the_names_of_modules_are_in_the_glossary() -> None:
    """Options have cards instead, and converters are called after models."""
    options = {path.stem for path in (ROOT / "conf").rglob("*.yaml")}
    files = [path for path in PACKAGE.rglob("*.py") if "convert" not in path.parts]
    names = {p.parent.name if p.stem.startswith("__") else p.stem for p in files}
    known = set(re.findall(r"`(\w+)`", (DOCS / "glossary.md").read_text(encoding="utf-8")))
    private = {name for name in names if name.startswith("_")}
    assert names - options - private - {"convert", PACKAGE.name} - known == set()


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    # A proxy that nobody listens at: whatever asked the network would fail.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    html = {path: path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html")}
    assert "load_run" in html[tmp_path / "site" / "reference" / "api.html"]
    # The browser may follow links elsewhere, but loads nothing from there.
    loads = re.compile(
        r'<(?:script|img|iframe)[^>]* src="https?://|<link[^>]* href="https?://[^>]*css'
    )
    assert [path.name for path, text in html.items() if loads.search(text)] == []

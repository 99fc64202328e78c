"""The page in a browser, and the plots in a viewer that knows neither scripts nor style sheets."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_transformer.compare.__main__ import main
from tests.helpers.debian import install
from tests.unit.compare.report.browser import Page, browser
from tests.unit.compare.report.made_runs import made_sweep

pytestmark = pytest.mark.slow
MEANS = {"rmsnorm": 2.0, "layernorm": 2.01, "none": 2.5}
LINE = ".plot g.mark-line path"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    made_sweep(folder / "s", MEANS)
    assert main([str(folder / "s"), "--baseline", "norm=rmsnorm"]) == 0
    return folder / "s"


@pytest.fixture
def page() -> Iterator[Page]:
    with browser() as found:
        yield found


def center(page: Page, selector: str, text: str = "") -> tuple[float, float]:
    """Where an element is, scrolled into view; the first, or the one with a text."""
    place = page.js(
        f"(() => {{ const found = [...document.querySelectorAll({selector!r})]"
        f".find(e => !{text!r} || e.textContent === {text!r}); "
        "found.scrollIntoView({block: 'center'}); const box = found.getBoundingClientRect(); "
        "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
    )
    return place[0], place[1]


def test_a_seed_under_the_mouse_shows_its_value_and_folder(report: Path, page: Page) -> None:
    page.open(report / "report.html")
    dots = "document.querySelectorAll('[data-plot=forest] path[aria-label*=folder]')"
    right = "(a, b) => a.getBoundingClientRect().x - b.getBoundingClientRect().x"
    page.js(f"[...{dots}].sort({right}).pop().setAttribute('id', 'dot')")
    x, y = center(page, "#dot")
    page.mouse("mouseMoved", x - 40, y)
    page.mouse("mouseMoved", x, y)
    page.wait("document.querySelector('#vg-tooltip-element.visible') !== null")
    text = page.js("document.querySelector('#vg-tooltip-element').innerText")
    content = json.loads((report / "report.json").read_text(encoding="utf-8"))
    row = next(row for row in content["variants"] if row["variant"] == "norm=none")
    seed = max(row["differences"], key=lambda seed: row["differences"][seed])
    assert text.split() == [
        "variant", "none", "seed", seed, "value", f"{row['values'][seed]:.4f}",
        "difference", f"{row['differences'][seed]:+.4f}", "folder", f"norm=none,seed={seed}",
    ]  # fmt: skip


def test_a_click_on_a_name_hides_its_line_and_another_shows_it(report: Path, page: Page) -> None:
    page.open(report / "report.html")
    lines = f"document.querySelectorAll('[data-plot=loss_tokens] {LINE}').length"
    assert page.js(lines) == 3
    name = "[data-plot=loss_tokens] g.role-legend-label text"
    page.click(*center(page, name, "none"))
    page.wait(f"{lines} === 2")
    page.click(*center(page, name, "none"))
    page.wait(f"{lines} === 3")


def test_a_click_on_a_name_of_the_forest_hides_the_variant_there(report: Path, page: Page) -> None:
    page.open(report / "report.html")
    marks = "document.querySelectorAll('[data-plot=forest] g.mark-symbol path').length"
    shown = page.js(marks)
    hidden = 2 + 5  # of `none`: the mean, the transparent point that has its tooltip, five seeds
    name = "[data-plot=forest] g.role-axis-label text"
    page.click(*center(page, name, "none"))
    page.wait(f"{marks} === {shown - hidden}")
    page.click(*center(page, name, "layernorm"))
    page.wait(f"{marks} === {shown - 2 * hidden}")
    page.click(*center(page, name, "none"))
    page.wait(f"{marks} === {shown - hidden}")
    assert page.js(f"document.querySelectorAll('[data-plot=loss_tokens] {LINE}').length") == 3


def test_the_loss_axis_becomes_logarithmic(report: Path, page: Page) -> None:
    page.open(report / "report.html")
    path = f"document.querySelector('[data-plot=loss_tokens] {LINE}').getAttribute('d')"
    before = page.js(path)
    page.click(*center(page, "[data-plot=loss_tokens] button.log"))
    page.wait(f"document.querySelector('[data-plot=loss_tokens] {LINE}') && {path} !== {before!r}")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1400, 375])
def test_it_fits_and_asks_for_nothing(report: Path, page: Page, width: int, dark: bool) -> None:
    page.open(report / "report.html", width, dark=dark)
    assert page.js("document.documentElement.scrollWidth") <= width
    wide = "[...document.querySelectorAll('.plot svg')].filter(s => s.getBoundingClientRect()"
    assert page.js(f"{wide}.right > innerWidth).length") == 0
    assert page.js("getComputedStyle(document.querySelector('td')).position") == "sticky"
    lines = "[...document.querySelectorAll('td.text')].map(e => e.getClientRects().length)"
    assert set(page.js(lines)) == {1}
    paper = page.js("document.querySelector('.plot svg').style.backgroundColor")
    assert paper == page.js("getComputedStyle(document.documentElement).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") != dark
    assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []


def test_the_table_fits_a_wide_window(report: Path, page: Page) -> None:
    page.open(report / "report.html")
    hidden = "[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)"
    assert max(page.js(hidden)) == 0


def test_a_plain_viewer_shows_points_whiskers_and_axis(report: Path, tmp_path: Path) -> None:
    from PIL import Image

    install({"rsvg-convert": "librsvg2-bin"})
    picture = tmp_path / "forest.png"
    subprocess.run(
        ["rsvg-convert", "--output", str(picture), str(report / "report" / "forest.svg")],
        check=True,
    )
    image = Image.open(picture).convert("RGB")
    counts = {colour: n for n, colour in image.getcolors(1 << 24) or []}
    worse, zero, ink = (198, 83, 0), (102, 109, 118), (29, 33, 38)
    # `none` is worse: its dot alone has 90 pixels, its whisker is a line of its own colour.
    assert counts.get(worse, 0) > 90
    assert counts.get(zero, 0) > 30  # the line at zero and ticks
    assert counts.get(ink, 0) > 50  # layernorm, of no significant difference, and names
    assert counts[255, 255, 255] > counts.get((0, 0, 0), 0)

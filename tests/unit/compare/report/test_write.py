"""The report of a sweep: its numbers, that the page has no others, and what is refused."""

from __future__ import annotations

import csv
import html
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from lightning_transformer.compare.__main__ import main
from tests.unit.compare.report.made_runs import made_sweep, make_run

MEANS = {"rmsnorm": 2.0, "layernorm": 2.0, "none": 2.5}


def report(folder: Path, *words: str) -> dict[str, Any]:
    assert main([str(folder), *words]) == 0
    content = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def of(content: dict[str, Any], norm: str) -> dict[str, Any]:
    (row,) = [row for row in content["variants"] if row["variant"] == f"norm={norm}"]
    return row


def test_effects_are_paired_t_tests_of_the_losses(tmp_path: Path) -> None:
    losses = made_sweep(tmp_path / "s", MEANS)
    content = report(tmp_path / "s", "--baseline", "norm=rmsnorm")
    assert content["seeds"] == [1, 2, 3, 4, 5]
    for norm in ("layernorm", "none"):
        wanted = stats.ttest_rel(losses[norm], losses["rmsnorm"])
        interval = wanted.confidence_interval(0.95)
        effect = of(content, norm)["effect"]
        assert effect["p"] == pytest.approx(wanted.pvalue, abs=1e-12)
        assert (effect["low"], effect["high"]) == pytest.approx((interval.low, interval.high))
    assert of(content, "none")["verdict"] == "worse"
    assert of(content, "layernorm")["verdict"] in ("equal", "unresolved")
    assert of(content, "none")["differs"] == [
        {"key": "norm._target_", "baseline": "x.rmsnorm.Norm", "here": "x.none.Norm"}
    ]


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    files = ("report.html", "report.json", "report.md", "report.csv")
    report(tmp_path / "s")
    first = [(tmp_path / "s" / name).read_bytes() for name in files]
    report(tmp_path / "s")
    assert first == [(tmp_path / "s" / name).read_bytes() for name in files]


def test_every_number_of_the_page_stands_in_report_json(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    content = report(tmp_path / "s", "--baseline", "norm=rmsnorm")
    page = (tmp_path / "s" / "report.html").read_text(encoding="utf-8")
    shown = re.findall(r'<span data-path="([^"]+)"( data-words)?>([^<]*)</span>', page)
    assert len(shown) > 80
    for place, words, text in shown:
        value = at(content, place)
        if words:
            assert html.unescape(text) == str(value), place
        else:
            assert close(html.unescape(text), value), (place, text, value)


def at(content: Any, place: str) -> Any:
    """What stands in report.json at a JSON pointer (RFC 6901)."""
    for key in html.unescape(place).strip("/").split("/"):
        key = key.replace("~1", "/").replace("~0", "~")
        content = content[int(key)] if isinstance(content, list) else content[key]
    return content


def test_every_dot_and_number_of_a_plot_stands_in_report_json(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    content = report(tmp_path / "s", "--baseline", "norm=rmsnorm")
    page = (tmp_path / "s" / "report.html").read_text(encoding="utf-8")
    dots = re.findall(r'<circle[^>]* data-path="([^"]+)" data-value="([^"]+)"', page)
    texts = re.findall(r'<text[^>]* data-path="([^"]+)">([^<]*)</text>', page)
    assert len(dots) > 20
    assert len(texts) > 2
    assert [
        p for p, value in dots if float(value) != pytest.approx(at(content, p), rel=1e-12)
    ] == []
    assert [p for p, text in texts if not close(html.unescape(text), at(content, p))] == []


def close(text: str, value: float) -> bool:
    """Whether a text is a number as it is printed: rounded, in thousands, or a small p."""
    if text.startswith("<"):
        return 0 <= value < float(text[1:])
    units = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    plain = text.replace("−", "-").replace(",", "").rstrip(" %")
    factor = units.get(plain[-1], 1.0)
    digits = plain[:-1] if plain[-1] in units else plain
    printed = float(digits)
    last = 10.0 ** -(len(digits.partition(".")[2])) * factor
    return abs(printed * factor - value) <= max(0.51 * last, 0.006 * abs(value) * (factor > 1))


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    report(tmp_path / "s")
    page = (tmp_path / "s" / "report.html").read_text(encoding="utf-8")
    links = re.findall(r"(?:src|href)\s*=\s*[\"']([^\"']+)", page)
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "@import" not in page
    assert not re.findall(r"url\((?!['\"]?(?:#|data:))", page)
    assert "prefers-color-scheme" in page


def test_diverged_runs_are_counted_and_never_averaged(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", {"rmsnorm": 2.0, "layernorm": 2.1})
    for seed in (1, 2, 3):
        make_run(tmp_path / "s" / f"bad{seed}", seed=seed, loss=None, norm="none")
    content = report(tmp_path / "s", "--baseline", "norm=rmsnorm")
    row = of(content, "none")
    assert row["states"]["diverged"] == 3
    assert row["mean"] is None
    assert content["blocks"]["used"] == [1, 2, 3, 4, 5]


def test_a_seed_that_one_lacks_is_left_out_for_all(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    for file in (tmp_path / "s" / "norm=none,seed=3").iterdir():
        file.unlink()
    content = report(tmp_path / "s")
    assert content["blocks"]["used"] == [1, 2, 4, 5]
    assert [one["seed"] for one in content["blocks"]["dropped"]] == [3]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data": {"name": "made", "sha256": "e" * 64}}, "data"),
        ({"commit": "f" * 40}, "commit"),
        ({"precision": "bf16-mixed"}, "precision"),
        ({"tokens_seen": 9999}, "tokens"),
    ],
)
def test_what_must_not_be_mixed_is_refused_unless_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Any], said: str
) -> None:
    made_sweep(tmp_path / "s", MEANS)
    make_run(tmp_path / "s" / "odd", seed=1, loss=2.0, norm="dyt", **changed)
    assert main([str(tmp_path / "s")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert said in error
    assert any(said in warning for warning in report(tmp_path / "s", "--force")["warnings"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["s", "--baseline", "norm=nope"], "norm=nope"),
        (["s", "--metric", "test/bleu"], "test/bleu"),
    ],
)
def test_wrong_words_get_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    made_sweep(tmp_path / "s", MEANS)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_the_table_has_a_row_for_every_run(tmp_path: Path) -> None:
    losses = made_sweep(tmp_path / "s", MEANS)
    report(tmp_path / "s")
    with (tmp_path / "s" / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15
    for row in rows:
        norm = row["variant"].removeprefix("norm=")
        assert float(row["test/loss"]) == pytest.approx(losses[norm][int(row["seed"]) - 1])


def test_it_does_without_torch(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    code = (
        "import sys; from lightning_transformer.compare.__main__ import main; "
        f"main([{str(tmp_path / 's')!r}]); "
        "assert not {'torch', 'lightning', 'torchmetrics'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_range_without_room_around_it_is_that_of_its_values() -> None:
    from lightning_transformer.compare.report.render.format import extent

    assert extent([0.25, 0.0], 0.0) == (0.0, 0.25)
    low, high = extent([2.0, 2.0])
    assert low < 2.0 < high

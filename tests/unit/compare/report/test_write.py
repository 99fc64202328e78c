"""The report of a sweep: its numbers, that the page has no others, and what is refused."""

from __future__ import annotations

import csv
import html
import json
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import altair as alt
import pytest
from scipy import stats

from lightning_transformer.compare.__main__ import main
from lightning_transformer.compare.report.contents import Equality
from lightning_transformer.compare.report.render.numbers import equality, number, sentences
from lightning_transformer.compare.report.render.palette import LIGHT, dark_for_light
from lightning_transformer.compare.report.write import Wanted, build_report
from tests.unit.compare.report.made_runs import made_sweep, make_run

MEANS = {"rmsnorm": 2.0, "layernorm": 2.0, "none": 2.5}


def report(folder: Path, *words: str, every_file: bool = False) -> dict[str, Any]:
    """Write the page and report.json, or every file, which draws all pictures; give the latter."""
    assert main([str(folder), *words, *([] if every_file else ["--html"])]) == 0
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
    report(tmp_path / "s", every_file=True)
    first = [(tmp_path / "s" / name).read_bytes() for name in files]
    report(tmp_path / "s", every_file=True)
    assert first == [(tmp_path / "s" / name).read_bytes() for name in files]


def test_every_number_of_the_page_stands_in_report_json(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    content = report(tmp_path / "s", "--baseline", "norm=rmsnorm")
    page = (tmp_path / "s" / "report.html").read_text(encoding="utf-8")
    shown = re.findall(r'<span data-path="([^"]+)"( data-text)?>([^<]*)</span>', page)
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


def plots_of(folder: Path) -> dict[str, Any]:
    """The specifications in the page."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="plots">(.*?)</script>', page, re.S)
    assert found
    plots = json.loads(found[1])
    assert isinstance(plots, dict)
    return plots


def test_the_data_of_every_plot_stand_in_report_json(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    for file in (tmp_path / "s").glob("norm=none,*/result.json"):  # another cost, for the front
        file.write_text(
            file.read_text(encoding="utf-8").replace('"seconds": 4.0', '"seconds": 5.0')
        )
    content = report(tmp_path / "s", "--baseline", "norm=rmsnorm")
    data = {name: plot["datasets"] for name, plot in plots_of(tmp_path / "s").items()}
    rows = {row["short"]: row for row in content["variants"]}
    folders = {(run["variant"], run["seed"]): run["folder"] for run in content["runs"]}
    others = [row for row in content["variants"] if row["effect"]]
    assert [row["name"] for row in data["forest"]["effects"]] == [row["short"] for row in others]
    for shown in data["forest"]["effects"]:
        effect = rows[shown["name"]]["effect"]
        assert {key: shown[key] for key in ("delta", "low", "high", "p_holm", "n")} == {
            key: effect[key] for key in ("delta", "low", "high", "p_holm", "n")
        }
    assert len(data["forest"]["seeds"]) == 10
    for shown in data["forest"]["seeds"]:
        row, seed = rows[shown["name"]], shown["seed"]
        assert shown["delta"] == row["differences"][str(seed)]
        assert shown["value"] == row["values"][str(seed)]
        assert shown["folder"] == folders[row["variant"], seed]
    for axis in ("tokens", "seconds"):
        lines = {name_of(line["variant"]): line for line in content["curves"][axis]}
        drawn = by_name(data[f"loss_{axis}"]["lines"], "x", "mean")
        assert drawn == {name: [line["x"], line["mean"]] for name, line in lines.items()}
        drawn = by_name(data[f"difference_{axis}"]["differences"], "x", "mean", "low", "high")
        assert drawn == {
            name: [line["difference"][key] for key in ("x", "mean", "low", "high")]
            for name, line in lines.items()
            if "difference" in line
        }
    for shown in data["pareto_seconds"]["variants"]:
        assert (shown["cost"], shown["mean"]) == (
            rows[shown["name"]]["seconds"], rows[shown["name"]]["mean"],
        )  # fmt: skip
    ranks = {name_of(row["variant"]): [row["ranks"], row["losses"]]
             for row in content["ranks"]["rows"]}  # fmt: skip
    assert by_name(data["ranks"]["ranks"], "rank", "loss") == ranks


def name_of(variant: str) -> str:
    return variant.partition("=")[2]


def by_name(rows: list[dict[str, Any]], *keys: str) -> dict[str, list[list[Any]]]:
    """Name to the columns of its rows."""
    found: dict[str, list[list[Any]]] = {}
    for row in rows:
        for column, key in zip(
            found.setdefault(row["name"], [[] for _ in keys]), keys, strict=True
        ):
            column.append(row[key])
    return found


def test_learning_rates_of_a_plot_stand_in_report_json(tmp_path: Path) -> None:
    for seed, rate, loss in product((1, 2, 3), ("0.001", "0.01"), (2.0,)):
        make_run(
            tmp_path / "s" / f"{rate},{seed}", seed=seed, loss=loss + seed / 100 + float(rate),
            overrides=[f"optimizer.lr={rate}", f"seed={seed}"],
        )  # fmt: skip
    content = report(tmp_path / "s")
    (line,) = content["learning_rates"]["curves"]
    shown = plots_of(tmp_path / "s")["learning_rates"]["datasets"]["rates"]
    assert [row["rate"] for row in shown] == line["rates"] == [0.001, 0.01]
    assert [row["loss"] for row in shown] == line["losses"]
    assert content["learning_rates"]["from"] == "the runs"


def test_every_specification_is_valid_and_its_svg_is_plain(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    report(tmp_path / "s", every_file=True)
    plots = plots_of(tmp_path / "s")
    pictures = tmp_path / "s" / "report"
    assert {f"{name}.{end}" for name in plots for end in ("svg", "pdf", "png")} == {
        file.name for file in pictures.iterdir()
    }
    for name, plot in plots.items():
        alt.Chart.from_dict(plot)  # raises where the specification breaks its schema
        svg = (pictures / f"{name}.svg").read_text(encoding="utf-8")
        assert "var(" not in svg
        assert "<style" not in svg
        assert "clip-path" not in svg
        assert (pictures / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (pictures / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_dark_colour_is_not_replaced_again() -> None:
    found = dark_for_light()
    assert set(found) & set(found.values()) == set()
    assert len(found) == len(LIGHT)


def test_names_cannot_end_the_script_or_inject_markup(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", {"rmsnorm": 2.0})
    for seed in range(1, 6):
        make_run(tmp_path / "s" / f"x{seed}", seed=seed, loss=2.0, norm="</script><b>x</b>")
    report(tmp_path / "s", "--baseline", "norm=rmsnorm")
    page = (tmp_path / "s" / "report.html").read_text(encoding="utf-8")
    assert "<b>x</b>" not in re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert any("</script>" in row["name"] for row in plots_of(tmp_path / "s")["forest"]["datasets"][
        "effects"])  # fmt: skip


def test_markdown_has_the_numbers_of_report_json(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    content = report(tmp_path / "s", "--baseline", "norm=rmsnorm", every_file=True)
    lines = (tmp_path / "s" / "report.md").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| variant | params"))
    for row, line in zip(content["variants"], lines[start + 2 :], strict=False):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        mean, _, sd = cells[6].partition(" ± ")
        assert cells[0] == row["short"]
        assert close(mean, row["mean"])
        assert close(sd, row["sd"])
        if row["effect"]:
            low, _, high = cells[8].partition(" … ")
            assert close(cells[7], row["effect"]["delta"])
            assert close(low, row["effect"]["low"])
            assert close(high, row["effect"]["high"])
            assert cells[9] == f"seeds {number(row['effect']['noise']['seeds'])}"
            assert close(cells[10], row["effect"]["p_holm"])


def test_build_report_writes_nothing_and_says_the_same(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    before = sorted(tmp_path.rglob("*"))
    built = build_report([tmp_path / "s"])
    assert sorted(tmp_path.rglob("*")) == before
    assert built.to_dict() == report(tmp_path / "s")
    with pytest.raises(ValueError, match=r"^mixing=split "):
        build_report([tmp_path / "s"], Wanted(mixing="split"))


def test_a_report_is_a_table_of_pandas_and_rich_output(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    built = build_report([tmp_path / "s"])
    table = built.to_pandas()
    assert list(table.index) == [row.variant for row in built.variants]
    for row in built.variants:
        assert table.loc[row.variant, "mean"] == row.mean
        assert table.loc[row.variant, "verdict"] == row.verdict
        if row.effect:
            assert table.loc[row.variant, "delta"] == row.effect.delta
    shown = built._repr_html_()
    assert shown.count("<svg") == 2
    assert all(row.short in shown for row in built.variants)


def test_without_pandas_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_sweep(tmp_path / "s", MEANS)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        build_report([tmp_path / "s"]).to_pandas()


def test_verdicts_in_words(tmp_path: Path) -> None:
    made_sweep(tmp_path / "two", {"rmsnorm": 2.0, "none": 2.5}, n_seeds=2)
    built = build_report([tmp_path / "two"], Wanted(baseline="norm=rmsnorm"))
    assert sentences(built) == ["none: not tested (needs at least 3 seeds)."]
    made_sweep(tmp_path / "s", {"rmsnorm": 2.0, "layernorm": 2.0}, n_seeds=3, noise=0.05)
    built = build_report([tmp_path / "s"], Wanted(baseline="norm=rmsnorm"))
    effect = built.variants[1].effect
    assert effect is not None
    assert sentences(built) == [
        "No significant difference from rmsnorm for layernorm (3 seeds); "
        f"{effect.detectable_percent:.2g} % would be seen 4 times in 5.",
        "Equality within ±0.5 % is out of reach of these runs: their noise allows "
        f"±{built.margin.within_percent:.2g} %.",
    ]


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (Equality("x", 0.0, True, False), "equal (max. deviation 0 %)"),
        (Equality("x", 21.6, False, False), "differs by up to 21.6 %"),
        (Equality("x", 0.52, True, False), "equal (max. deviation 0.52 %)"),
        (Equality("x", None, True, False), "equal"),
    ],
)
def test_equality_in_words(one: Equality, text: str) -> None:
    assert equality(one) == text


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
    page, n = re.subn(r"<script>\(\(\) => \{.*?</script>", "", page, count=1, flags=re.S)
    assert n == 1  # the library; that it asks for nothing is tested in a browser
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


def test_a_seed_that_one_lacks_costs_only_its_own_pair(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    whole = report(tmp_path / "s", "--baseline", "norm=rmsnorm")
    for file in (tmp_path / "s" / "norm=none,seed=3").iterdir():
        file.unlink()
    content = report(tmp_path / "s", "--baseline", "norm=rmsnorm")
    assert content["blocks"] == {
        "used": [1, 2, 3, 4, 5],
        "dropped": [{"seed": 3, "because": ["norm=none: missing"]}],
    }
    assert of(content, "layernorm")["differences"] == of(whole, "layernorm")["differences"]
    assert of(content, "layernorm")["effect"]["p"] == of(whole, "layernorm")["effect"]["p"]
    assert of(content, "none")["effect"]["n"] == 4


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


def test_runs_that_stopped_early_are_compared_and_named(tmp_path: Path) -> None:
    made_sweep(tmp_path / "s", MEANS)
    early = {"tokens_seen": 1500, "steps": 15, "stopped_early": "val/loss has not improved"}
    make_run(tmp_path / "s" / "early", seed=1, loss=2.1, norm="dyt", **early)
    (said,) = [text for text in report(tmp_path / "s")["warnings"] if "stopped early" in text]
    assert said.startswith("1 of 16 runs stopped early, and saw fewer tokens than others: ")
    assert said.endswith("norm=dyt seed=1 at step 15 (val/loss has not improved).")
    # Two that did all their steps and saw different tokens are still no comparison.
    make_run(tmp_path / "s" / "odd", seed=2, loss=2.0, norm="dyt", tokens_seen=9999)
    assert main([str(tmp_path / "s")]) == 2


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
    report(tmp_path / "s", every_file=True)
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
    from lightning_transformer.compare.report.render.plots.style import extent

    assert extent([0.25, 0.0], 0.0) == (0.0, 0.25)
    low, high = extent([2.0, 2.0])
    assert low < 2.0 < high

"""The first block, the table in LaTeX, all metrics as CSV, and the marks of what is no result."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lightning_transformer.compare.report.comparison import Comparison
from lightning_transformer.compare.report.paper.latex import escape, latex
from lightning_transformer.compare.report.paper.long_csv import long_csv
from lightning_transformer.compare.report.report import Report
from lightning_transformer.compare.report.write import Wanted, build_report, write
from tests.unit.compare.report.made_runs import make_run

LOSSES = {"rmsnorm": (2.0, 2.1, 2.2), "a_b%": (1.5, 1.61, 1.72)}
MADE = {"ended": "2026-01-31T12:00:00+00:00", "seconds": 1200.0}
CONFIG = {"data": {"batch_size": 16, "seq_len": 32}, "optimizer": {"lr": 0.003}}


def sweep(folder: Path) -> Path:
    """Two variants by three seeds, one of which failed."""
    for norm, losses in LOSSES.items():
        for seed, loss in enumerate(losses, start=1):
            place = folder / f"norm={norm},seed={seed}"
            make_run(place, seed=seed, loss=loss, norm=norm, config=CONFIG, **MADE)
    return folder


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return build_report([sweep(tmp_path / "norms")])


def test_the_first_block_has_what_a_paper_needs(report: Report) -> None:
    assert {one.name: one.value for one in report.head} == {
        "question": "Does norm change test/loss? norm=a_b% (baseline) against norm=rmsnorm",
        "command": "python -m lightning_transformer norm=a_b% seed=1 sweep=made (one of the runs)",
        "size": "1,000 parameters without embeddings, 1,200 with them",
        "steps": "40",
        "tokens": "4,000",
        "compute": "found at 2.4e7 training FLOPs a run; larger models may differ",
        "batch": "16 x 32 tokens",
        "optimizer": "learning rate 0.003",
        "seeds": "3 (1, 2, 3)",
        "hours": "2 of training, 6 runs",  # six times a third of an hour
        "machine": "cpu",
        "date": "2026-01-31",
    }


def test_the_command_is_what_was_typed(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "norms")
    typed = "hydra:\n  overrides:\n    task:\n    - norm=rmsnorm,a_b%\n    - seed=1,2,3\n"
    (folder / "multirun.yaml").write_text(typed, encoding="utf-8")

    def command() -> str:
        return next(one.value for one in build_report([folder]).head if one.name == "command")

    assert command() == "python -m lightning_transformer -m norm=rmsnorm,a_b% seed=1,2,3"
    one = Comparison(name="n", by=["norm"], baseline={"norm": "rmsnorm"}, command="compare run x")
    one.write(folder)
    assert command() == "compare run x"


def test_every_page_begins_with_the_first_block(tmp_path: Path) -> None:
    folder, shown = sweep(tmp_path / "norms"), io.StringIO()
    write([folder], console=Console(file=shown, width=200))
    head = json.loads((folder / "report.json").read_text(encoding="utf-8"))["head"]
    printed = shown.getvalue()
    for text in (printed, (folder / "report.md").read_text(), (folder / "report.html").read_text()):
        places = [text.index(one["value"].replace("'", "&#39;" if "<html" in text else "'"))
                  for one in head]  # fmt: skip
        assert max(places) < text.index("1.6100")  # the first number of the table
    question, answer, scope, command = printed.splitlines()[:4]
    assert scope.startswith("          The intervals are for")
    assert question.startswith("question  Does norm change")
    assert answer == "answer    rmsnorm: worse than a_b% by more than 0.5 % (3 seeds)."
    assert command.startswith("command   python")


def test_latex_is_a_table_with_booktabs(report: Report) -> None:
    head, table = latex(report).split("\\begin{tabular}")
    assert head.splitlines()[0].startswith("% question: Does norm change test/loss?")
    effect = report.variants[1].effect
    assert effect is not None
    assert effect.low is not None
    assert effect.high is not None
    expected = r"""{lrrrl}
\toprule
norm & test/loss & $\Delta$ [95\,\% interval] & $p$ (Holm) & verdict \\
\midrule
a\_b\% & 1.6100 $\pm$ 0.1100 &  &  & baseline \\
rmsnorm & 2.1000 $\pm$ 0.1000 & $+0.4900$ [$LOW$, $HIGH$] & P & worse \\
\bottomrule
\end{tabular}
""".replace("LOW", f"{effect.low:+.4f}").replace("HIGH", f"{effect.high:+.4f}")
    assert effect.delta == pytest.approx(0.49)  # 2.1 - 1.61
    assert table == expected.replace("P", f"{effect.p_holm:.4f}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & c% #1 {x}", r"a\_b \& c\% \#1 \{x\}"),
        ("1 \\ 2 ~ $ ^", r"1 \textbackslash{} 2 \textasciitilde{} \$ \textasciicircum{}"),
        ("<0.0001 ±0.5 −1", r"$<$0.0001 $\pm$0.5 $-$1"),
        ("two\nlines", "two lines"),
    ],
)
def test_special_characters_are_escaped(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_the_long_table_has_every_metric_of_every_run(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(long_csv(report))))
    assert len(rows) == 6 * 2
    assert list(rows[0]) == ["variant", "seed", "state", "metric", "value"]
    found = {(r["variant"], r["seed"], r["metric"]): float(r["value"]) for r in rows}
    assert found["norm=rmsnorm", "2", "test/loss"] == 2.1
    assert found["norm=a_b%", "3", "val/loss"] == 1.73


def test_the_files_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "norms")
    write([folder], Wanted(page_only=True), console=Console(file=io.StringIO()))
    assert not (folder / "report.tex").exists()
    assert not (folder / "report_long.csv").exists()
    shown = io.StringIO()
    wanted = Wanted(page_only=True, latex=True, long_csv=True)
    write([folder], wanted, console=Console(file=shown, width=200))
    assert (folder / "report.tex").read_text().endswith("\\end{tabular}\n")
    assert len((folder / "report_long.csv").read_text().splitlines()) == 13
    assert str(folder / "report.tex") in shown.getvalue()


def test_what_is_no_result_is_marked_with_its_error(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "norms")
    make_run(folder / "norm=none,seed=1", seed=1, loss=3.0, norm="none", config=CONFIG,
             status="failed", error="RuntimeError: the disk is full")  # fmt: skip
    shown = io.StringIO()
    write([folder], console=Console(file=shown, width=200))
    error = "norm=none seed=1 failed: RuntimeError: the disk is full"
    for text in (shown.getvalue(), (folder / "report.md").read_text(),
                 (folder / "report.html").read_text()):  # fmt: skip
        assert error in text
    assert replace(build_report([folder])).runs[-1]["state"] == "failed"

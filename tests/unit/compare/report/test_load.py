"""A report whatever the runs are: what cannot be read or compared is named beside the rest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lightning_transformer.compare.__main__ import main
from lightning_transformer.compare.report.comparison import Comparison, FailedJob
from lightning_transformer.compare.report.write import Wanted, build_report
from tests.unit.compare.report.made_runs import made_sweep, make_run

MEANS = {"rmsnorm": 2.0, "layernorm": 2.1}
REFUSED = "ConfigError: model.d_model=32 is not a multiple of attention.n_heads=3"


def refused(folder: Path, *, seed: int = 1, typed: str, norm: str = "layernorm") -> None:
    """A run that was refused before it had a configuration."""
    make_run(
        folder, seed=seed, loss=None, norm=norm, error=REFUSED, config=None,
        overrides=[f"norm={norm}", typed, f"seed={seed}", "sweep=made"],
    )  # fmt: skip


def with_heads(folder: Path) -> Path:
    for norm in MEANS:
        for seed in (1, 2, 3):
            make_run(
                folder / f"{norm},2,{seed}", seed=seed, loss=MEANS[norm] + seed / 50, norm=norm,
                overrides=[f"norm={norm}", "attention.n_heads=2", f"seed={seed}", "sweep=made"],
            )  # fmt: skip
            refused(folder / f"{norm},3,{seed}", seed=seed, typed="attention.n_heads=3", norm=norm)
    return folder


def test_runs_that_were_refused_stand_beside_the_rest_as_failed(tmp_path):
    report = build_report([with_heads(tmp_path / "m1")])
    found = {row.variant: (row.verdict, row.states["failed"]) for row in report.variants}
    assert found["norm=layernorm,attention.n_heads=3"] == ("no finished run", 3)
    assert report.baseline.variant == "norm=layernorm,attention.n_heads=2"
    assert report.variants[1].effect.n == 3


def test_a_failed_variant_of_a_comparison_stands_in_its_report(tmp_path, capsys):
    with_heads(tmp_path / "m1")
    Comparison(
        name="m1", by=["norm", "attention.n_heads"],
        baseline={"norm": "rmsnorm", "attention.n_heads": "2"},
        failures=[FailedJob("layernorm,3,1", REFUSED, 2)], stage="done",
    ).write(tmp_path / "m1")  # fmt: skip
    assert main([str(tmp_path / "m1")]) == 0
    content = json.loads((tmp_path / "m1" / "report.json").read_text())
    assert content["failures"][0]["error"] == REFUSED
    assert REFUSED in (tmp_path / "m1" / "report.md").read_text()
    assert "no finished run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("config.yaml", None, "config.yaml does not exist; a run is compared with its"),
        ("config.yaml", "a: [", "config.yaml is not valid YAML"),
        ("config.yaml", "- 1", "config.yaml is no configuration"),
        ("result.json", "{", "result.json is not valid JSON"),
        ("result.json", '"seed": "one"', "seed='one' must be a whole number or null"),
        ("result.json", '"overrides": [1]', "overrides[0]=1 must be text"),
        ("result.json", '"metrics": {"test/loss": 1' + "0" * 400 + "}", "must be a number or null"),
        ("result.json", '"tokens_per_second": "fast"', "tokens_per_second='fast' must be a number"),
    ],
)
def test_a_folder_that_cannot_be_read_is_one_line_and_leaves_the_rest_alone(
    tmp_path, capsys, file, text, said
):
    made_sweep(tmp_path / "s", MEANS)
    whole = build_report([tmp_path / "s"])
    odd = tmp_path / "s" / "odd"
    make_run(odd, seed=1, loss=2.0, norm="dyt")
    if text is None:
        (odd / file).unlink()
    elif text.startswith('"'):
        old = json.loads((odd / file).read_text())
        key = text.partition(":")[0].strip('"')
        rest = json.dumps({k: v for k, v in old.items() if k != key})
        (odd / file).write_text("{" + text + ", " + rest[1:])
    else:
        (odd / file).write_text(text)
    report = build_report([tmp_path / "s"])
    (one,) = report.left_out
    assert one.place == str(odd)
    assert said in one.reason
    assert str(odd / file) in one.reason
    assert report.variants == whole.variants
    assert main([str(tmp_path / "s")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "left out" in shown


def test_a_curve_that_cannot_be_read_costs_no_run(tmp_path):
    made_sweep(tmp_path / "s", MEANS)
    file = tmp_path / "s" / "norm=rmsnorm,seed=1" / "metrics.csv"
    file.write_text("step,train/loss\n1,x\n")
    report = build_report([tmp_path / "s"])
    assert report.variants[1].effect.n == 5
    assert [one.place for one in report.left_out] == [str(file)]


def test_a_path_that_does_not_exist_is_named_beside_those_that_do(tmp_path, capsys):
    made_sweep(tmp_path / "s", MEANS)
    report = build_report([tmp_path / "s", tmp_path / "typo"])
    assert [(one.place, one.reason) for one in report.left_out] == [
        (str(tmp_path / "typo"), "does not exist")
    ]
    assert main([str(tmp_path / "typo")]) == 2
    assert "typo does not exist" in capsys.readouterr().err


def test_a_broken_ledger_is_named_and_the_runs_are_compared(tmp_path):
    made_sweep(tmp_path / "s", MEANS)
    (tmp_path / "s" / "comparison.json").write_text("{}")
    report = build_report([tmp_path / "s"])
    assert report.variants[1].effect.n == 5
    assert "run the comparison again" in report.left_out[0].reason


def test_nothing_but_unreadable_runs_is_an_error_of_one_line(tmp_path, capsys):
    make_run(tmp_path / "s" / "a", seed=1, loss=2.0, config=None)
    assert main([str(tmp_path / "s")]) == 2
    error = capsys.readouterr().err
    assert "config.yaml does not exist" in error
    assert error.count("\n") == 1


def test_the_tokens_of_two_seeds_may_differ_and_those_of_one_may_not(tmp_path):
    """Pairs, tags and labelled texts are of any length: a seed has its own examples."""
    for norm, mean in MEANS.items():
        for seed in (1, 2, 3):
            make_run(
                tmp_path / "q4" / f"{norm}{seed}", seed=seed, loss=mean + seed / 50, norm=norm,
                tokens_seen=3842 + 100 * seed,
            )  # fmt: skip
    assert build_report([tmp_path / "q4"]).variants[1].effect.n == 3
    make_run(tmp_path / "q4" / "odd", seed=2, loss=2.0, norm="dyt", tokens_seen=1)
    with pytest.raises(ValueError, match=r"differ in tokens: 1 \(1 runs of seed 2\), 4042 \(2 "):
        build_report([tmp_path / "q4"])
    forced = build_report([tmp_path / "q4"], Wanted(mixing="force"))
    assert any("tokens" in text for text in forced.warnings)


def test_everything_below_a_folder_is_grouped_and_the_rest_is_named(tmp_path, capsys):
    outputs = tmp_path / "outputs"
    made_sweep(outputs / "sweeps" / "norms", MEANS)
    made_sweep(outputs / "sweeps" / "others", {"dyt": 2.0, "none": 2.3})
    Comparison(name="others", by=["norm"], baseline={"norm": "none"}).write(
        outputs / "sweeps" / "others"
    )
    make_run(outputs / "sweeps" / "lonely" / "a", seed=1, loss=2.0)
    for i, (norm, sha) in enumerate((n, s) for s in "de" for n in MEANS):
        make_run(
            outputs / "runs" / str(i), seed=1, loss=2.0 + i, norm=norm,
            overrides=[f"norm={norm}"], data={"name": "made", "sha256": sha * 64},
        )  # fmt: skip
    refused(outputs / "runs" / "typo", typed="data.path=typo.txt")
    shutil.copytree(outputs / "runs" / "0", outputs / "runs" / "0~2")
    assert main([str(outputs), "--html"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "lonely: a single variant, with nothing to compare it with" in shown
    pages = sorted(str(page.relative_to(outputs)) for page in outputs.rglob("report.html"))
    assert pages == [
        "runs/split-1/report.html",
        "runs/split-2/report.html",
        "sweeps/norms/report.html",
        "sweeps/others/report.html",
    ]
    others = json.loads((outputs / "sweeps" / "others" / "report.json").read_text())
    assert others["baseline"]["variant"] == "norm=none"
    first = json.loads((outputs / "runs" / "split-1" / "report.json").read_text())
    left_out = {Path(one["place"]).name: one["reason"] for one in first["left_out"]}
    assert left_out["typo"] == REFUSED
    assert left_out["0"].endswith("0~2 too")  # the same run twice


def test_in_python_a_folder_of_several_comparisons_is_refused_in_one_line(tmp_path):
    made_sweep(tmp_path / "a", MEANS)
    made_sweep(tmp_path / "b", MEANS)
    with pytest.raises(ValueError, match=r"^2 comparisons, .*; name one folder$"):
        build_report([tmp_path])
    joint = build_report([tmp_path / "a", tmp_path / "b"])
    assert len(joint.left_out) == 10  # the same runs twice


def test_numbers_that_squares_cannot_hold_are_compared(tmp_path):
    """A perplexity of exp(357) is a number, and its square is none."""
    for norm in MEANS:
        for seed in (1, 2, 3):
            metrics = {"test/loss": 357.0 + seed, "test/perplexity": 10.0 ** (155 + seed)}
            make_run(tmp_path / f"{norm}{seed}", seed=seed, loss=357.0, norm=norm, metrics=metrics)
    make_run(tmp_path / "large", seed=4, loss=2.0, metrics={"test/perplexity": 1e308})
    report = build_report([tmp_path], Wanted(metric="test/perplexity"))
    assert report.variants[1].verdict == "unchanged"
    assert json.loads(report.to_json())["variants"][1]["n_runs"] in (3, 4)

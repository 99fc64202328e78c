"""What is typed after `compare run`, and the variants that it means."""

from __future__ import annotations

import pytest
from rich.console import Console

from lightning_transformer.compare.report.comparison import Comparison
from lightning_transformer.compare.run import command
from lightning_transformer.compare.run.outcome import Price
from lightning_transformer.compare.run.request import RANKING_SEEDS, SCREENING_SEEDS
from lightning_transformer.compare.run.variants import read_variants
from lightning_transformer.errors import ConfigError
from tests.unit.compare.report.made_runs import make_run
from tests.unit.compare.run.fake_jobs import Jobs

TINY = (
    "data.seq_len=16",
    "model.d_model=32",
    "model.n_layers=1",
    "trainer=cpu",
    "trainer.max_steps=80",
    "schedule.warmup_steps=8",
)


def refused(*typed):
    with pytest.raises(ConfigError) as error:
        read_variants(command.read(typed))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_has_several_values_is_compared():
    asked = command.read(["norm=layernorm,rmsnorm", "model.n_layers=1", "activation=gelu,relu"])
    assert asked.swept == {"norm": ("layernorm", "rmsnorm"), "activation": ("gelu", "relu")}
    assert asked.baseline == {"norm": "layernorm", "activation": "gelu"}
    assert (asked.shared, asked.lr) == (("model.n_layers=1",), "sweep3")
    assert (asked.seeds, asked.first) == (tuple(range(1, 21)), 3)
    assert command.read(["norm=layernorm,rmsnorm,none", "halving=2"]).seeds == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("typed", "seeds"),
    [("5", (1, 2, 3, 4, 5)), ("3,7", (3, 7)), ("[4]", (4,)), ("1", (1,))],
)
def test_seeds_are_a_number_or_a_list(typed, seeds):
    asked = command.read(["norm=layernorm,rmsnorm", f"seeds={typed}"])
    assert (asked.seeds, asked.is_adaptive) == (seeds, False)


def test_a_range_of_seeds_begins_with_few_and_may_have_a_budget():
    asked = command.read(["norm=layernorm,rmsnorm", "seeds=3..20", "budget=1.5h"])
    assert (asked.seeds, asked.first, asked.is_adaptive) == (tuple(range(1, 21)), 3, True)
    assert asked.budget == 5400.0
    assert "budget" not in asked.identity  # with a longer one it is the same comparison


def test_the_name_is_that_of_the_command():
    names = {
        command.read(["norm=layernorm,rmsnorm", *more]).name
        for more in (["seeds=3..20"], ["seeds=3..20", "workers=1"], [])
    }
    (name,) = names  # how it is run is no part of it
    assert name.startswith("norm-")
    assert command.read(["norm=layernorm,rmsnorm", "seeds=4"]).name != name
    assert command.read(["norm=layernorm,rmsnorm", "name=mine"]).name == "mine"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["norm=rmsnorm"], "nothing is compared"),
        (["norm=rmsnorm,rmsnorm"], "a value is given twice"),
        (["norm=layernorm,rmsnrom"], "did you mean rmsnorm"),
        (["nrm=layernorm,rmsnorm"], "unknown key nrm"),
        (["norm=layernorm,rmsnorm", "seeds=x"], "seeds=x must be how many"),
        (["norm=layernorm,rmsnorm", "seeds=0"], "seeds=0 must be at least 1"),
        (["norm=layernorm,rmsnorm", "seeds=2..9"], "such as seeds=3..20"),
        (["norm=layernorm,rmsnorm", "seeds=5..5"], "such as seeds=3..20"),
        (["norm=layernorm,rmsnorm", "seeds=3..9", "budget=30"], "such as 90s, 30min or 2h"),
        (["norm=layernorm,rmsnorm", "seeds=3..9", "budget=0s"], "such as 90s, 30min or 2h"),
        (["norm=layernorm,rmsnorm", "budget=1h", "seeds=4"], "or leave seeds=4 out"),
        (["norm=none,rmsnorm,crmsnorm", "halving=2", "seeds=3..9"], "such as seeds=5, not"),
        (["norm=layernorm,rmsnorm", "seeds=1,1"], "one is given twice"),
        (["norm=layernorm,rmsnorm", f"seeds=1,{SCREENING_SEEDS[1]}"], "chosen with"),
        (["norm=layernorm,rmsnorm", f"seeds=1,{RANKING_SEEDS[0]}"], "chosen with"),
        (["norm=layernorm,rmsnorm", "seed=1"], "write seeds=5"),
        (["norm=layernorm,rmsnorm", "sweep=x"], "write name="),
        (["norm=layernorm,rmsnorm", "hydra.run.dir=x"], "set by compare run"),
        (["norm=layernorm,rmsnorm", "lr=sweep5"], "lr=sweep5 must be sweep3 or fixed, a range"),
        (["norm=layernorm,rmsnorm", "placebo=yes"], "placebo=yes must be true or false"),
        (["norm=layernorm,rmsnorm", "workers=0"], "workers=0 must be a whole number"),
        (["norm=layernorm,rmsnorm", "baseline=none"], "must name what is compared"),
        (["norm=layernorm,rmsnorm", "baseline=norm=none"], "norm=none is not compared"),
        (["norm=layernorm,rmsnorm", "name=a/b"], "must be a plain folder name"),
        (["norm=layernorm,rmsnorm", "halving=3"], "needs two variants beside the baseline"),
        (["norm=layernorm,rmsnorm", "norm=none"], "one value and several"),
        (["optimizer.lr=1e-3,1e-2"], "write lr=fixed"),
        (["experiment=gpt2_small,warmup"], "experiment="),
        (["norm=layernorm,rmsnorm", "--dryrun"], "did you mean --dry-run"),
    ],
)
def test_one_line_says_what_is_wrong(typed, message):
    assert message in refused(*typed)


def test_variants_are_composed_with_the_baseline_first():
    typed = ["norm=layernorm,rmsnorm", "optimizer=adamw", "optimizer.lr=1e-2", *TINY]
    variants = read_variants(command.read([*typed, "baseline=norm=rmsnorm"]))
    assert [variant.label for variant in variants] == ["norm=rmsnorm", "norm=layernorm"]
    base = variants[0]
    assert (base.steps, base.rates) == (80, {"optimizer.lr": 0.01})
    assert base.lengths == {"schedule.warmup_steps": 8}
    assert base.accelerator == "cpu"
    assert not any("optimizer.lr" in text for text in base.overrides)
    assert base.digest != variants[1].digest
    fixed = read_variants(command.read([*typed, "lr=fixed"]))[0]
    assert "optimizer.lr=1e-2" in fixed.overrides
    assert fixed.rates == {}


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """Give `typed(*words)`: exit code, standard output and error; jobs in `typed.jobs`."""
    monkeypatch.chdir(tmp_path)
    reports = []
    monkeypatch.setattr(command, "_report", lambda folder, console: reports.append(folder))
    folder = tmp_path / "outputs" / "sweeps" / "try"
    jobs = Jobs(folder, lambda overrides, step: 2.0 - (overrides["norm"] == "rmsnorm"))
    real = command.compare
    prices = {"norm=layernorm": Price(0.5, 1.0, 2.0)}  # of the first variant alone

    def compare(argv, console):
        return real(argv, _wide(), jobs.start, lambda plan, env, known: prices)

    monkeypatch.setattr(command, "compare", compare)

    def typed(*words):
        code = command.main([*words, *TINY, "name=try"])
        return code, *capsys.readouterr()

    typed.jobs, typed.folder, typed.reports = jobs, folder, reports
    return typed


def _wide():
    return Console(width=200, highlight=False)


def test_a_dry_run_shows_the_plan_and_starts_nothing(typed):
    code, out, err = typed("norm=layernorm,rmsnorm", "seeds=2", "workers=1", "--dry-run")
    assert (code, err, typed.jobs.begun) == (0, "", [])
    assert not typed.folder.exists()
    assert "norm=layernorm (baseline)" in out
    assert "28 jobs of 800 steps" in out
    assert "12 runs per variant" in out
    assert "1 worker, " in out
    # 24 screening runs of 20 steps, 4 of 80 with a test, a validation and 3 s to start for each
    assert "about 9 min (from a few steps of 1 of 2 variants, timed now)" in out


def test_a_typo_in_one_variant_is_one_line_before_anything_starts(typed):
    code, out, err = typed("norm=layernorm,rmsnorm", "norm.epps=1e-3", "seeds=2")
    (line,) = err.splitlines()
    assert (code, out, typed.jobs.begun) == (2, "", [])
    assert line.startswith("error: ")
    assert "epps" in line
    # only one of the variants cannot have it
    code, out, err = typed("norm=layernorm,none", "norm.eps=1e-3", "seeds=2")
    assert (code, typed.jobs.begun) == (2, [])
    assert not typed.folder.exists()


def test_the_command_runs_all_and_writes_the_report(typed):
    words = ["norm=layernorm,rmsnorm", "seeds=2", "lr=fixed", "workers=2"]
    code, out, err = typed(*words)
    assert (code, err) == (0, "")
    assert sorted(typed.jobs.begun) == [
        f"norm={norm},seed={seed}" for norm in ("layernorm", "rmsnorm") for seed in (1, 2)
    ]
    assert [str(path) for path in typed.reports] == ["outputs/sweeps/try"]
    code, out, err = typed(*words)
    assert (code, len(typed.jobs.begun), "4 done before" in out) == (0, 4, True)
    code, out, err = typed("norm=layernorm,rmsnorm", "seeds=1", "lr=fixed")
    assert (code, "seeds: 1,2 then, 1 now" in err) == (2, True)
    code, out, err = typed("norm=layernorm,rmsnorm", "seeds=3", "lr=fixed")
    assert (code, typed.jobs.begun[4:]) == (0, ["norm=layernorm,seed=3", "norm=rmsnorm,seed=3"])


def test_a_job_given_up_is_printed_at_the_end_and_in_the_exit_code(typed):
    typed.jobs.broken = {"norm=rmsnorm,seed=1": 2}
    code, out, _ = typed("norm=layernorm,rmsnorm", "seeds=2", "lr=fixed")
    assert code == 1
    assert "failed    norm=rmsnorm,seed=1: the machine broke" in out
    assert len(typed.reports) == 1


def test_a_comparison_whose_code_was_changed_in_between_ends_in_a_report_that_says_so(tmp_path):
    Comparison(name="x", by=["norm"], baseline={"norm": "a"}).write(tmp_path)
    for seed, (norm, commit) in enumerate((n, c) for c in ("c", "f") for n in ("a", "b")):
        make_run(tmp_path / f"{norm}{seed}", seed=seed // 2, loss=2.0, norm=norm,
                 commit=commit * 40)  # fmt: skip
    console = Console(record=True, width=300)
    command._report(tmp_path, console)
    assert (tmp_path / "report.html").is_file()
    shown = console.export_text()
    assert "The runs differ in commit" in shown
    assert "warning   the runs differ in commit" in shown

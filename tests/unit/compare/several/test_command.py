"""`compare run` over several tasks and sizes, with jobs that end at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from rich.console import Console

from lightning_transformer.compare.across.parts import read_several
from lightning_transformer.compare.run import command as once
from lightning_transformer.compare.run.outcome import Price
from lightning_transformer.compare.several import command
from tests.helpers.short_runs import environment
from tests.unit.compare.run.fake_jobs import Jobs

TINY = ("model.n_layers=1", "trainer.max_steps=8", "trainer.val_every=8", "logger=none")
SHORT = (
    *("model.n_layers=1", "model.d_model=32", "attention.n_heads=4", "data.seq_len=32"),
    *("debug=fast", "logger=none", "trainer=cpu"),
)
TASKS = "tasks=pydocs+data.seq_len=32,pydocs+data.seq_len=64"
PARTS = ("pydocs+data.seq_len=32", "pydocs+data.seq_len=64")
SIZE = {"params": 10, "flops_per_token": 6.0, "steps": 5, "tokens": 50, "epochs": 1.5}


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """Give `typed(*words)`: exit code, output and error; `typed.jobs` by part, `typed.reports`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(once, "_report", lambda folder, console: None)
    reports, jobs, broken, examined = [], {}, {}, []
    monkeypatch.setattr(command, "write_above", lambda folder, *rest: reports.append(folder))

    def starts(pool):
        jobs[pool.folder.name] = Jobs(pool.folder, lambda overrides, step: 2.0, dict(broken))
        return jobs[pool.folder.name].start

    def examine(plan, env, known):
        examined.append(plan.request.name)
        return {plan.baseline.label: Price(0.5)}

    def compare(argv, console):
        return command.compare(argv, Console(width=200, highlight=False), starts, examine)

    def typed(*words):
        given = {word.partition("=")[0] for word in words}
        usual = ["norm=layernorm,rmsnorm", "seeds=2", "lr=fixed"]
        usual = [word for word in usual if word.partition("=")[0] not in given]
        code = once.main([*usual, *words], compare)
        return code, *capsys.readouterr()

    typed.jobs, typed.reports, typed.broken, typed.examined = jobs, reports, broken, examined
    typed.folder = tmp_path / "outputs" / "sweeps" / "try"
    return typed


def begun(typed):
    return {part: len(jobs.begun) for part, jobs in typed.jobs.items()}


def test_each_task_is_a_comparison_of_its_own_and_the_report_is_over_all(typed):
    code, out, err = typed(*TINY, TASKS, "name=try")
    assert (code, err) == (0, "")
    assert begun(typed) == dict.fromkeys(PARTS, 4)
    assert [str(folder) for folder in typed.reports] == ["outputs/sweeps/try"]
    for part in PARTS:
        plan = json.loads((typed.folder / part / "plan.json").read_text(encoding="utf-8"))
        assert plan["asked"]["overrides"]["data.seq_len"] == part.rpartition("=")[2]
    assert read_several(typed.folder).kind == "tasks"
    before = out.index("variants  norm=layernorm, norm=rmsnorm")
    assert before < out.index("pydocs+data.seq_len=32, 1 of 2") < out.index("2 of 2")


def test_the_same_command_continues_and_another_is_refused(typed):
    typed.broken["norm=rmsnorm,seed=1"] = 2
    assert typed(*TINY, TASKS, "name=try")[0] == 1  # given up in both, and yet all is reported
    assert len(typed.reports) == 1
    typed.broken.clear()
    code, _out, _ = typed(*TINY, TASKS, "name=try")
    assert code == 0
    assert begun(typed) == dict.fromkeys(PARTS, 1)
    assert typed.examined == list(PARTS)  # once
    code, _, err = typed(*TINY, TASKS.replace("64", "16"), "name=try")
    assert code == 2
    assert "is another comparison (tasks=data=pydocs+data.seq_len=32,data=pydocs" in err
    code, _, err = typed(*TINY, "name=try")
    assert code == 2
    assert "outputs/sweeps/try holds several comparisons; choose another name=" in err


def test_more_seeds_values_and_tasks_go_on_in_the_folder_without_a_name(typed):
    """Every finished run is used again, and what was measured for the plan."""
    assert typed(*TINY, TASKS)[0] == 0
    (folder,) = typed.folder.parent.iterdir()
    code, _out, err = typed(*TINY, TASKS, "seeds=3")
    assert (code, err, [*typed.folder.parent.iterdir()]) == (0, "", [folder])
    assert begun(typed) == dict.fromkeys(PARTS, 2)
    assert read_several(folder).reports == 2
    more = "pydocs+data.seq_len=16"
    code, _out, err = typed(*TINY, f"{TASKS},{more}", "seeds=3", "norm=layernorm,rmsnorm,none")
    assert (code, err, [*typed.folder.parent.iterdir()]) == (0, "", [folder])
    assert begun(typed) == {**dict.fromkeys(PARTS, 3), more: 9}
    found = read_several(folder)
    assert [part.name for part in found.parts] == [*PARTS, more]
    assert found.reports == 2
    code, _out, err = typed(*TINY, TASKS)
    assert code == 2
    assert "is another comparison (tasks=" in err  # what is there is not left out


def test_a_dry_run_shows_all_and_writes_nothing(typed):
    code, out, _ = typed(*TINY, TASKS, "name=try", "--dry-run")
    assert (code, typed.jobs, typed.folder.exists()) == (0, {}, False)
    assert "time      about" in out


def test_a_ladder_sets_size_and_budget_and_says_how_often_data_repeat(typed, monkeypatch):
    def ask(module, question, env):
        assert (question["rungs"], question["tokens_per_param"]) == (3, 5.0)
        return {
            "mup": False,
            "rungs": [
                {
                    "size": {**SIZE, "shape": {"model.n_layers": 1, "model.d_model": width}},
                    "overrides": ["model.n_layers=1", f"model.d_model={width}",
                                  f"trainer.max_steps={width}", "trainer.val_every=8"],
                }
                for width in (32, 64, 128)
            ],
        }  # fmt: skip

    monkeypatch.setattr(command, "ask", ask)
    given = ("tokens_per_param=5", "logger=none", "name=try", "trainer.accelerator=cpu")
    code, out, err = typed("ladder=3", *given)
    assert (code, err) == (0, "")
    assert begun(typed) == {"rung1": 4, "rung2": 4, "rung3": 4}
    assert "lr        as configured, the same at all sizes" in out
    assert "data      read 1.5 times over at 3 of 3 sizes" in out
    found = read_several(typed.folder)
    assert found.rates == "fixed"
    assert found.parts[2].size.shape == {"model.n_layers": 1, "model.d_model": 128}
    plan = json.loads((typed.folder / "rung2" / "plan.json").read_text(encoding="utf-8"))
    assert plan["asked"]["overrides"]["trainer.max_steps"] == "64"
    # bfloat16 would pay at the largest size alone, where the processor has it.
    assert "trainer.precision=32-true for all sizes: with auto it would depend on" in out
    for part in found.parts:
        assert part.overrides[-1] == "trainer.precision=32-true"


def test_a_ladder_that_cannot_be_is_one_line(typed, monkeypatch):
    monkeypatch.setattr(command, "ask", lambda *question: {"error": "ladder=3: too small"})
    assert typed("ladder=3", "logger=none")[::2] == (2, "error: ladder=3: too small\n")


@pytest.mark.slow
def test_a_ladder_that_is_killed_goes_on_and_ends_in_a_report_over_all_sizes(tmp_path):
    call = [
        sys.executable, "-m", "lightning_transformer.compare", "run", *SHORT,
        "norm=layernorm,rmsnorm", "ladder=3", "tokens_per_param=0.5", "seeds=2", "lr=fixed",
        "workers=2", "name=try",
    ]  # fmt: skip
    folder = tmp_path / "outputs" / "sweeps" / "try"
    first = subprocess.Popen(call, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL)
    while not list(folder.glob("rung2/*/result.json")):
        assert first.poll() is None
        time.sleep(0.2)
    first.kill()
    first.wait()
    done = subprocess.run(call, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    content = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert [rung["name"] for rung in content["rungs"]] == ["rung1", "rung2", "rung3"]
    computes = [rung["compute"] for rung in content["rungs"]]
    assert computes == [
        pytest.approx(rung["size"]["tokens"] * rung["size"]["flops_per_token"])
        for rung in content["rungs"]
    ]
    effects = content["variants"][1]["sizes"]
    assert all(one["n"] == 2 and one["effect"] is not None for one in effects)
    assert content["variants"][1]["trend"]["n"] == 2

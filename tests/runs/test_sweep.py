"""Sweeps: a folder per job, nothing done twice, nothing lost by a job that fails."""

from __future__ import annotations

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_transformer.cli import main
from lightning_transformer.runs.result import RunResult, read
from tests.helpers.short_runs import (
    At,
    command,
    crash,
    difference,
    history,
    interrupt,
    short,
    short_run,
    type_in,
)


@pytest.fixture
def sweep(tmp_path, monkeypatch, capsys):
    """Give `sweep(*overrides)`: exit code, standard output and error of a sweep named try."""
    monkeypatch.chdir(tmp_path)

    def typed(*overrides):
        code = type_in(monkeypatch, "-m", *short(tmp_path, "sweep=try", *overrides))
        return code, *capsys.readouterr()

    return typed


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outputs" / "sweeps" / "try"


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def stamps(folder):
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}


def test_jobs_are_named_by_what_differs_and_skipped_when_finished(sweep, folder, tmp_path):
    code, out, err = sweep("norm=rmsnorm,layernorm", "seed=1,2")
    assert (code, err) == (0, "")
    expected = [f"norm={n},seed={s}" for n in ("layernorm", "rmsnorm") for s in (1, 2)]
    assert names(folder) == expected
    for name in expected:
        result = read(folder / name)
        norm, seed = (text.split("=")[1] for text in name.split(","))
        assert (result.status, result.seed, result.choices["norm"]) == ("finished", int(seed), norm)
        # One row of the table, with its loss.
        (row,) = (line for line in out.splitlines() if line.startswith(f"{name} "))
        assert f"{result.metrics['test/loss']:.4f}" in row
        assert " finished " in row
    # As one of many, a run computes what it computes alone.
    short_run(tmp_path / "alone", "norm=layernorm", "seed=2")
    assert difference(tmp_path / "alone", folder / "norm=layernorm,seed=2") == 0
    before = stamps(folder)
    code, out, _ = sweep("norm=none,layernorm", "seed=2")
    assert code == 0
    assert out.count("finished before, skipped") == 1
    assert names(folder) == sorted([*expected, "norm=none"])
    after = stamps(folder)
    assert {name: after[name] for name in before} == before


@pytest.mark.slow
def test_another_configuration_of_the_same_name_gets_a_folder_of_its_own(sweep, folder):
    assert sweep("seed=1,2")[0] == 0
    before = stamps(folder)
    assert sweep("seed=1,2", "optimizer.lr=1e-3")[0] == 0
    assert names(folder) == ["seed=1", "seed=1~2", "seed=2", "seed=2~2"]
    assert "optimizer.lr=0.001" in read(folder / "seed=1~2").overrides
    after = stamps(folder)
    assert {name: after[name] for name in before} == before


def test_a_job_that_fails_leaves_its_reason_and_the_others_go_on(sweep, folder, monkeypatch):
    with monkeypatch.context() as patch:
        At(patch, 2, crash)  # in the first job
        code, out, err = sweep("attention.n_heads=2,5,4")
    assert code == 1
    assert err.splitlines() == [
        "failed: RuntimeError: the machine broke",
        "failed: ConfigError: model.d_model=32 is not divisible by attention.n_heads=5; "
        "nearest 30 or 35",
    ]
    statuses = {name[-1]: read(folder / name).status for name in names(folder)}
    assert statuses == {"2": "failed", "4": "finished", "5": "failed"}
    broken, refused = folder / "attention.n_heads=2", folder / "attention.n_heads=5"
    assert read(broken).error == "RuntimeError: the machine broke"
    assert "in crash" in (broken / "traceback.txt").read_text()
    assert "n_heads=5" in (refused / "traceback.txt").read_text()
    assert out.splitlines()[-3:-1] == [
        "2 of 3 jobs failed; run the same again to redo them",
        "  attention.n_heads=2  RuntimeError: the machine broke",
    ]
    before = stamps(folder)
    code, out, err = sweep("attention.n_heads=2,5,4")
    assert (code, out.count("skipped"), len(err.splitlines())) == (1, 1, 1)
    again = read(broken)
    assert (again.status, again.error, again.steps) == ("finished", None, 6)
    assert len(history(broken)) == 6
    assert stamps(folder)["attention.n_heads=4"] == before["attention.n_heads=4"]
    # What the failed attempt left is kept, where nobody takes it for a run.
    assert (broken / "failed-1" / "traceback.txt").exists()
    assert not list((broken / "failed-1").rglob("result.json"))
    assert not (broken / "traceback.txt").exists()


def test_what_else_lies_in_the_folder_does_not_change_the_exit_code(sweep, folder):
    for name, text in (("torn", "{"), ("foreign", "[1]")):
        (folder / name).mkdir(parents=True)
        (folder / name / "result.json").write_text(text)
    (folder / "earlier").mkdir()
    RunResult(status="failed", error="an earlier sweep's").write(folder / "earlier")
    code, out, _ = sweep("attention.n_heads=2,5")
    assert code == 1
    assert "1 of 2 jobs failed" in out
    assert out.count("left out of the table: ") == 2
    code, out, err = sweep("attention.n_heads=2")
    assert (code, err, out.count("skipped")) == (0, "", 1)
    assert "failed" in next(line for line in out.splitlines() if line.startswith("earlier "))


def test_what_lies_in_the_folder_of_a_job_is_left_alone(sweep, folder):
    (folder / "0").mkdir(parents=True)
    (folder / "0" / "result.json").write_text("{")
    code, out, _ = sweep("seed=1,2", "hydra.sweep.subdir='${hydra.job.num}'")
    assert (code, read(folder / "0~2").status, read(folder / "1").status) == (
        0,
        "finished",
        "finished",
    )
    assert (folder / "0" / "result.json").read_text() == "{"
    assert out.count("left out of the table: ") == 1


def test_a_job_that_fails_before_it_writes_anything_has_failed(sweep, folder, monkeypatch):
    def broken(cfg, request):
        raise RuntimeError("no disk")

    monkeypatch.setattr("lightning_transformer.training.run.run", broken)
    code, out, _ = sweep("seed=1,2")
    assert code == 1
    assert "2 of 2 jobs failed" in out
    assert out.splitlines()[-1] == "  seed=2  RuntimeError: no disk"
    assert not list(folder.rglob("result.json"))


def test_a_table_that_cannot_be_shown_is_no_success(sweep, monkeypatch):
    def broken(runs):
        raise RuntimeError("no table")

    monkeypatch.setattr("lightning_transformer.cli.sweep_table.sweep_table", broken)
    code, _, err = sweep("seed=1")
    assert (code, err) == (1, "error: RuntimeError: no table\n")


@pytest.mark.slow
def test_a_stopped_sweep_goes_on_where_it_was(sweep, folder, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        At(patch, 4, interrupt)
        code, out, err = sweep("seed=1,2", "model.dropout=0.1")
    assert (code, err) == (130, "")
    assert names(folder) == ["seed=1"]
    assert read(folder / "seed=1").status == "stopped"
    code, out, err = sweep("seed=1,2", "model.dropout=0.1")
    assert (code, err) == (0, "")
    assert out.count("resuming at step 4\n") == 1
    assert {read(folder / name).status for name in ("seed=1", "seed=2")} == {"finished"}
    short_run(tmp_path / "alone", "seed=1", "model.dropout=0.1")
    assert difference(tmp_path / "alone", folder / "seed=1") == 0


@pytest.mark.slow
def test_a_killed_job_is_continued(sweep, folder, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        # Killed: nothing is written any more.
        patch.setattr("lightning_transformer.training.run.RunResult.write", lambda *args: None)
        At(patch, 5, crash)
        sweep("seed=1,2")
    first = folder / "seed=1"
    assert not (first / "result.json").exists()
    assert sweep("seed=1,2")[0] == 0
    short_run(tmp_path / "alone")
    assert difference(tmp_path / "alone", first) == 0
    # With the result of a run that still ran when it was killed, it goes on from its checkpoint.
    content = json.loads((first / "result.json").read_text()) | {"status": "running"}
    (first / "result.json").write_text(json.dumps(content))
    before = stamps(folder)["seed=2"]
    code, out, _ = sweep("seed=1,2")
    assert (code, out.count("resuming at step 6\n"), out.count("skipped")) == (0, 1, 1)
    assert read(first).status == "finished"
    assert stamps(folder)["seed=2"] == before


def test_several_processes_per_job_are_refused(sweep, folder, monkeypatch):
    def unexpected(*args):
        raise AssertionError("data were read for a job that is refused")

    monkeypatch.setattr("lightning_transformer.data.sources.text.Text.read", unexpected)
    code, _, err = sweep("seed=1,2", "trainer.devices=2")
    assert code == 1
    assert len(err.splitlines()) == 2
    for line in err.splitlines():
        assert line.startswith("failed: ConfigError: trainer.devices=2 in a sweep: ")
    assert read(folder / "seed=1").status == "failed"


def test_a_value_that_cannot_be_is_refused_before_the_first_job(sweep, folder):
    code, out, err = sweep("norm=rmsnorm,layrnorm")
    assert (code, out) == (2, "")
    assert err.startswith("error: unknown option norm=layrnorm; did you mean layernorm?")
    assert not folder.exists()


@pytest.mark.slow
def test_a_sweep_without_a_name_is_named_by_the_time(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert type_in(monkeypatch, "-m", *short(tmp_path), "norm=rmsnorm") == 0
    (folder,) = (tmp_path / "outputs" / "sweeps").iterdir()
    assert len(names(folder)) == 1
    assert "sweep     outputs/sweeps/" in capsys.readouterr().out


@pytest.mark.slow
def test_a_sweep_in_a_process_of_its_own_is_quiet(tmp_path):
    typed = short(tmp_path, "sweep=own", "norm=rmsnorm,layernorm", "logger=tensorboard")
    done = command("-m", *typed, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert not [line for line in lines if "\x1b" in line]
    # Per job: its name, two validations, the last step, the end, the baseline. Then the table and
    # where to look.
    assert len(lines) == 2 * 6 + 3 + 2, done.stdout
    assert lines[0] == "norm=rmsnorm"
    assert lines[6] == "norm=layernorm"
    assert lines[-1].split() == ["view", "tensorboard", "--logdir", "outputs/sweeps/own"]
    # TensorBoard's table of runs has the key that was swept, and no other that was typed.
    for norm in ("rmsnorm", "layernorm"):
        folder = tmp_path / "outputs" / "sweeps" / "own" / f"norm={norm}"
        events = EventAccumulator(str(folder))
        events.Reload()
        shown = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
        assert norm.encode() in shown
        assert b"n_params" in shown
        assert b"d_model" not in shown
        last = max(events.Scalars("result/test_loss"), key=lambda event: event.wall_time).value
        assert last == pytest.approx(read(folder).metrics["test/loss"])


@pytest.mark.slow
def test_a_job_returns_what_a_sweeper_minimises(tmp_path, monkeypatch, folder):
    returned = []
    job = main.run_job
    monkeypatch.setattr(
        main, "run_job", lambda *given: returned.append(job(*given)) or returned[-1]
    )
    monkeypatch.chdir(tmp_path)
    assert type_in(monkeypatch, "-m", *short(tmp_path, "seed=1,2", "sweep=try")) == 0
    losses = [read(folder / name).metrics["val/loss"] for name in names(folder)]
    assert returned == losses
    assert len(set(losses)) == 2

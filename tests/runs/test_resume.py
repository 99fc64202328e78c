"""Going on with a run gives what an undisturbed run gives, to the last bit, or is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.result import read, read_history
from lightning_transformer.tasks.causal_lm import CausalLM
from lightning_transformer.tasks.metrics.baseline import Baseline
from tests.helpers.short_runs import (
    DROPOUT,
    At,
    checkpoint,
    crash,
    difference,
    history,
    interrupt,
    short,
    short_pairs,
    short_run,
    start,
    type_in,
    weights,
)

# Dropout, half steps and a schedule that depends on the step: whatever could go wrong is there.
COMMON = (*DROPOUT, "trainer.accumulate=2", "callbacks=default")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a run of six steps that nobody stopped."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    short_run(folder, *COMMON)
    return folder


def without_validation(folder):
    """Rows without what was validated: stopping validates once more, and says so."""
    return [
        {key: value for key, value in row.items() if key.startswith(("step", "train", "optim"))}
        for row in history(folder)
    ]


# Micro-batches: 2 to a step; validation, and with it a checkpoint, after step 3.
@pytest.mark.parametrize(
    "micro_batch", [6, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 7))]
)
def test_stopped_and_resumed_is_undisturbed(tmp_path, monkeypatch, undisturbed, micro_batch):
    with monkeypatch.context() as patch:
        At(patch, micro_batch, interrupt)
        stopped = short_run(tmp_path / "run", *COMMON)
    assert stopped.status == "stopped"
    assert stopped.steps == (micro_batch + 1) // 2
    assert difference(tmp_path / "run", undisturbed) > 1e-3
    rest = At(monkeypatch, 0, None)
    result = short_run(tmp_path / "run", *COMMON, resume=True)
    assert rest.count == 12 - 2 * stopped.steps
    assert difference(tmp_path / "run", undisturbed) == 0
    assert without_validation(tmp_path / "run") == without_validation(undisturbed)
    other = read(undisturbed)
    for name in ("status", "steps", "tokens_seen", "metrics", "data"):
        assert getattr(result, name) == getattr(other, name)


def killed(folder, monkeypatch, micro_batch):
    """A run that broke in this micro-batch."""
    with monkeypatch.context() as patch:
        At(patch, micro_batch, crash)
        with pytest.raises(RuntimeError, match="broke"):
            short_run(folder, *COMMON)


def test_killed_and_resumed_is_undisturbed(tmp_path, monkeypatch, undisturbed):
    killed(tmp_path / "run", monkeypatch, 11)
    assert checkpoint(tmp_path / "run")["global_step"] == 3
    assert [row["step"] for row in history(tmp_path / "run")] == ["1", "2", "3", "4", "5"]
    short_run(tmp_path / "run", *COMMON, resume=True)
    assert difference(tmp_path / "run", undisturbed) == 0
    assert history(tmp_path / "run") == history(undisturbed)


def test_rows_of_what_was_lost_are_dropped(tmp_path, monkeypatch):
    killed(tmp_path / "run", monkeypatch, 11)
    short_run(tmp_path / "run", *COMMON, "trainer.log_every=3", resume=True)
    assert [row["step"] for row in history(tmp_path / "run")] == ["1", "2", "3", "6"]


@pytest.mark.slow
def test_loaders_in_other_processes_go_on_where_they_were(tmp_path, monkeypatch, undisturbed):
    workers = (*COMMON, "data.num_workers=2")
    with monkeypatch.context() as patch:
        At(patch, 5, interrupt)
        short_run(tmp_path / "run", *workers)
    short_run(tmp_path / "run", *workers, resume=True)
    assert difference(tmp_path / "run", undisturbed) == 0


@pytest.mark.slow
def test_pairs_and_another_optimizer_resume_too(tmp_path, monkeypatch):
    typed = short_pairs(tmp_path, *DROPOUT, "optimizer=adamw", "schedule=cosine")
    start(tmp_path / "whole", typed)
    with monkeypatch.context() as patch:
        At(patch, 4, interrupt)
        start(tmp_path / "run", typed)
    start(tmp_path / "run", typed, resume=True)
    assert difference(tmp_path / "run", tmp_path / "whole") == 0


def test_a_run_without_a_checkpoint_says_so_and_starts_anew(
    tmp_path, monkeypatch, undisturbed, capsys
):
    killed(tmp_path / "run", monkeypatch, 4)
    assert [row["step"] for row in history(tmp_path / "run")] == ["1"]
    capsys.readouterr()
    short_run(tmp_path / "run", *COMMON, resume=True)
    assert "resuming at step 0: there is no checkpoint yet" in capsys.readouterr().out
    assert difference(tmp_path / "run", undisturbed) == 0
    assert history(tmp_path / "run") == history(undisturbed)


@pytest.mark.parametrize("steps", [pytest.param(3, marks=pytest.mark.slow), 4])
def test_a_finished_run_goes_on_to_more_steps(tmp_path, steps):
    # This schedule does not look at the number of steps, so both ways must agree.
    common = (*DROPOUT, "schedule=constant", "trainer.accumulate=2")
    short_run(tmp_path / "whole", *common)
    short_run(tmp_path / "run", *common, f"trainer.max_steps={steps}")
    result = short_run(tmp_path / "run", *common, resume=True)
    assert (result.status, result.steps) == ("finished", 6)
    assert difference(tmp_path / "run", tmp_path / "whole") == 0
    assert result.metrics == read(tmp_path / "whole").metrics
    # The last interval of four steps was short; its validation stays in the history.
    assert [s for s, _ in read_history(tmp_path / "run")["val/loss"]] == sorted({3, steps, 6})


def test_the_best_is_remembered_also_in_a_folder_that_was_moved(tmp_path, monkeypatch, recwarn):
    compute, said = CausalLM.compute, iter([1.0, 3.0, 2.0, 2.5])

    def scripted(task, metrics):
        values = compute(task, metrics)
        return values | {"loss": torch.tensor(next(said, float(values["loss"])))}

    monkeypatch.setattr(CausalLM, "compute", scripted)
    monkeypatch.setattr(Baseline, "learn", lambda *given: None)  # which would compute as well
    with monkeypatch.context() as patch:
        At(patch, 4, interrupt)
        short_run(tmp_path / "before")
    shutil.move(tmp_path / "before", tmp_path / "after")
    result = short_run(tmp_path / "after", "trainer.val_every=1", resume=True)
    assert result.metrics["val/loss"] == 2.5
    assert checkpoint(tmp_path / "after", "best")["global_step"] == 3
    assert not [warning for warning in recwarn if "dirpath" in str(warning.message)]


def test_resuming_where_nothing_is_left_reports_the_same_again(tmp_path):
    first = short_run(tmp_path / "run")
    before = weights(tmp_path / "run")
    again = short_run(tmp_path / "run", resume=True)
    assert (again.status, again.steps, again.metrics) == ("finished", 6, first.metrics)
    assert all(bool((weights(tmp_path / "run")[key] == before[key]).all()) for key in before)


def test_fewer_steps_than_done_are_refused(tmp_path):
    short_run(tmp_path / "run")
    before = (tmp_path / "run" / "result.json").read_bytes()
    with pytest.raises(ConfigError, match=r"^trainer\.max_steps=4 is below the 6 steps"):
        short_run(tmp_path / "run", "trainer.max_steps=4", resume=True)
    # What the run had reached is still written there.
    assert (tmp_path / "run" / "result.json").read_bytes() == before


def test_a_damaged_checkpoint_is_left_for_the_one_before_it(tmp_path, undisturbed, capsys):
    folder = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    state = folder / "checkpoints" / "step-6" / "state.ckpt"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    start(folder, short(undisturbed.parent, *COMMON), resume=True)
    said = capsys.readouterr().out
    assert f"checkpoint of step 6 cannot be used: {state} is damaged: its SHA-256 is not" in said
    assert "step-6 is kept as aside-step-6" in said
    assert "resuming at step 3" in said
    assert difference(folder, undisturbed) == 0
    assert history(folder) == history(undisturbed)


def test_where_no_checkpoint_is_undamaged_nothing_starts(tmp_path, undisturbed):
    folder = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    before = (folder / "result.json").read_bytes()
    for path in (folder / "checkpoints").glob("*/manifest.json"):
        path.write_text("{}")
    with pytest.raises(ConfigError, match=r"^resume: no checkpoint in .* is undamaged; start"):
        start(folder, short(undisturbed.parent, *COMMON), resume=True)
    assert (folder / "result.json").read_bytes() == before


# -- on the command line ---------------------------------------------------------------------------


def resumed(monkeypatch, capsys, *typed):
    """Type it; return exit code and standard error."""
    code = type_in(monkeypatch, *typed)
    return code, capsys.readouterr().err


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    """The folder of a run that was stopped at step 2, started by the command line."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        At(patch, 4, interrupt)
        typed = short(folder, *COMMON, f"hydra.run.dir={folder / 'run'}")
        assert type_in(patch, *typed) == 130
    assert read(folder / "run").steps == 2
    return folder / "run"


@pytest.fixture
def stopped(stopped_once, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(stopped_once, tmp_path / "run"))


def test_resume_is_all_that_is_typed(stopped, monkeypatch, undisturbed, capsys):
    assert type_in(monkeypatch, f"resume={stopped}") == 0
    assert "resuming at step 2\n" in capsys.readouterr().out
    assert difference(stopped, undisturbed) == 0
    result = read(stopped)
    assert (result.status, result.error) == ("finished", None)
    # Again, and further; the overrides do not pile up.
    assert type_in(monkeypatch, f"resume={stopped}/", "trainer.max_steps=8") == 0
    result = read(stopped)
    assert result.steps == 8
    assert len([o for o in result.overrides if o.startswith("resume=")]) == 1
    assert len([o for o in result.overrides if o.startswith("trainer.max_steps=")]) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("seed=2", "seed: 1 then, 2 now"),
        ("norm=layernorm", "norm.bias: nothing then, True now"),
        ("data.val_fraction=0.2", "data.val_fraction: 0.1 then, 0.2 now"),
    ],
)
def test_another_run_is_refused_with_the_difference(stopped, monkeypatch, capsys, change, words):
    before = {path: path.read_bytes() for path in stopped.iterdir() if path.is_file()}
    code, err = resumed(monkeypatch, capsys, f"resume={stopped}", change)
    assert code == 2
    (line,) = err.splitlines()
    assert line.startswith("error: resume: the configuration differs from the run's (")
    assert words in line
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.slow
def test_other_text_under_the_same_name_is_refused(tmp_path, monkeypatch, capsys):
    typed = short(tmp_path, *COMMON, f"hydra.run.dir={tmp_path / 'run'}")
    with monkeypatch.context() as patch:
        At(patch, 4, interrupt)
        assert type_in(patch, *typed) == 130
    text = tmp_path / "text.txt"
    before = text.read_bytes()
    text.write_bytes(before.replace(b"cat", b"dog", 1))
    capsys.readouterr()
    code, err = resumed(monkeypatch, capsys, f"resume={tmp_path / 'run'}")
    assert (code, len(err.splitlines())) == (2, 1)
    assert err.startswith("error: resume: the data have changed since step 2 (data.sha256: ")
    assert "put them back, or start a new run" in err
    assert read(tmp_path / "run").status == "stopped"
    text.write_bytes(before)
    assert type_in(monkeypatch, f"resume={tmp_path / 'run'}") == 0


def break_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def make_newer(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 99}))


@pytest.mark.parametrize(
    ("harm", "files", "words"),
    [
        (Path.unlink, "result.json", "result.json does not exist; name a run folder"),
        (break_off, "result.json", "result.json is not valid JSON"),
        (make_newer, "result.json", "schema=99 is not supported; this version reads 2"),
        (break_off, "config.yaml", "config.yaml is not a configuration"),
        (break_off, "checkpoints/*/state.ckpt", "is undamaged; start the run anew elsewhere"),
        (make_newer, "checkpoints/*/manifest.json", "is undamaged; start the run anew elsewhere"),
    ],
)
def test_a_harmed_folder_never_starts_from_step_0(stopped, monkeypatch, capsys, harm, files, words):
    for path in stopped.glob(files):
        harm(path)
    code, err = resumed(monkeypatch, capsys, f"resume={stopped}")
    assert (code, len(err.splitlines())) == (2, 1)
    assert err.startswith("error: resume")
    assert str(stopped) in err
    assert words in err


def test_how_it_is_trained_may_change(stopped, monkeypatch):
    typed = ("trainer.val_every=2", "trainer.log_every=2", "callbacks=none")
    assert type_in(monkeypatch, f"resume={stopped}", *typed) == 0
    assert [step for step, _ in read_history(stopped)["val/loss"]] == [2, 4, 6]


def test_new_rates_and_another_length_are_applied_from_then_on(stopped, monkeypatch):
    before = dict(read_history(stopped)["optim/lr"])
    typed = ("optimizer.lr=1e-4", "optimizer.muon_lr=0.5", "trainer.max_steps=8")
    assert type_in(monkeypatch, f"resume={stopped}", *typed) == 0
    rates = read_history(stopped)
    # By hand: 2 of 8 steps of warm-up, then a straight line to 0 after the last one.
    factors = {3: 1, 4: 5 / 6, 5: 4 / 6, 6: 3 / 6, 7: 2 / 6, 8: 1 / 6}
    for name, peak in (("optim/lr", 1e-4), ("optim/lr_matrices", 0.5)):
        found = {step: rate for step, rate in rates[name] if step > 2}
        assert found == pytest.approx({s: peak * f for s, f in factors.items()}, abs=1e-12)
    assert {step: dict(rates["optim/lr"])[step] for step in before} == before


@pytest.mark.parametrize("begun", [pytest.param(False, marks=pytest.mark.slow), True])
def test_auto_starts_where_there_is_nothing_to_go_on_with(tmp_path, monkeypatch, begun, capsys):
    typed = [*short(tmp_path, *COMMON), "resume=auto", f"hydra.run.dir={tmp_path / 'run'}"]
    if begun:  # it broke before its first checkpoint
        with monkeypatch.context() as patch:
            At(patch, 3, crash)
            assert type_in(patch, *typed) == 1
    assert type_in(monkeypatch, *typed) == 0
    assert read(tmp_path / "run").status == "finished"
    assert "resuming" not in capsys.readouterr().out


@pytest.mark.slow
def test_auto_goes_on_where_there_is_something(tmp_path, monkeypatch, undisturbed, capsys):
    typed = [*short(tmp_path, *COMMON), "resume=auto", f"hydra.run.dir={tmp_path / 'run'}"]
    with monkeypatch.context() as patch:
        At(patch, 9, crash)
        assert type_in(patch, *typed) == 1
    capsys.readouterr()
    assert type_in(monkeypatch, *typed) == 0
    assert "resuming at step 3" in capsys.readouterr().out
    assert difference(tmp_path / "run", undisturbed) == 0
    assert history(tmp_path / "run") == history(undisturbed)


def test_auto_needs_a_folder(monkeypatch, capsys):
    code, err = resumed(monkeypatch, capsys, "resume=auto")
    assert code == 2
    assert "for example hydra.run.dir=outputs/runs/night" in err


def test_folders_that_hold_no_run_are_refused(tmp_path, monkeypatch, capsys):
    code, err = resumed(monkeypatch, capsys, f"resume={tmp_path / 'nope'}")
    assert code == 2
    assert err.startswith(f"error: resume={tmp_path / 'nope'}: ")
    assert "does not exist" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "nope").exists()


def test_a_run_that_never_began_cannot_go_on(tmp_path, monkeypatch, capsys):
    typed = short(tmp_path, "attention.n_heads=5", f"hydra.run.dir={tmp_path / 'run'}")
    assert type_in(monkeypatch, *typed) == 2
    capsys.readouterr()
    code, err = resumed(monkeypatch, capsys, f"resume={tmp_path / 'run'}", "attention.n_heads=4")
    assert code == 2
    assert err == (
        f"error: resume={tmp_path / 'run'}: the run failed before its first step; start it anew\n"
    )


@pytest.mark.slow
def test_a_folder_of_any_name_can_be_resumed(tmp_path, monkeypatch):
    folder = tmp_path / "it's a run, [norm=x] #1"
    quoted = str(folder).replace("'", "\\'")
    typed = short(tmp_path, f"hydra.run.dir='{quoted}'", "trainer.max_steps=3")
    assert type_in(monkeypatch, *typed) == 0
    assert type_in(monkeypatch, f"resume={folder}", "trainer.max_steps=6") == 0
    assert read(folder).steps == 6


def test_a_refused_resume_keeps_the_result(tmp_path, monkeypatch, capsys):
    assert type_in(monkeypatch, *short(tmp_path), f"hydra.run.dir={tmp_path / 'run'}") == 0
    before = json.loads((tmp_path / "run" / "result.json").read_text())
    code, err = resumed(monkeypatch, capsys, f"resume={tmp_path / 'run'}", "trainer.clip=-1")
    assert (code, len(err.splitlines())) == (2, 1)
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == before

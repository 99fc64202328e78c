"""The command line: its flags, its exit codes, what it prints, which folders it takes."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections import namedtuple
from functools import partial

import pytest
import yaml

from lightning_transformer import __version__
from lightning_transformer.config.compose import preflight
from lightning_transformer.errors import ConfigError
from lightning_transformer.paths import CONF
from lightning_transformer.runs.result import read
from tests.conftest import options
from tests.helpers.short_runs import (
    At,
    command,
    crash,
    difference,
    environment,
    refused,
    short,
    short_run,
    type_in,
)

GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir())
ON_DISK = {group: options(group) for group in GROUPS}


def test_several_values_need_a_sweep(monkeypatch, capsys):
    said = refused(monkeypatch, capsys, "norm=rmsnorm,layernorm")
    assert said == "several values for one key make a sweep: add -m"


def test_several_loggers_are_told_from_a_sweep(monkeypatch, capsys):
    said = refused(monkeypatch, capsys, "logger=tensorboard,csv")
    hint = "for one run with all of them write 'logger=[tensorboard,csv]'"
    assert said == f"several values for one key make a sweep: add -m; {hint}"
    advised = hint.split("'")[1]
    assert preflight([advised]) == 1


@pytest.mark.parametrize("flag", ["--foo", "-x", "--multirn", "--helo"])
def test_unknown_flags_are_refused(monkeypatch, capsys, flag):
    assert refused(monkeypatch, capsys, flag) == f"unknown flag {flag}; see --help"


def test_the_whole_error_can_be_had(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ConfigError, match="unknown key nrm"):
        type_in(monkeypatch, "nrm=rmsnorm")


def test_a_folder_with_a_run_is_not_used_again(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    short_run(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    said = refused(monkeypatch, capsys, *short(tmp_path), f"hydra.run.dir={folder}")
    assert said == (
        f"{folder} holds a run already: go on with resume={folder}, or choose another hydra.run.dir"
    )
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_refused_attempt_does_not_block_its_folder(tmp_path, monkeypatch, capsys):
    typed = [*short(tmp_path), f"hydra.run.dir={tmp_path / 'run'}"]
    refused(monkeypatch, capsys, *typed, "attention.n_heads=5")
    assert read(tmp_path / "run").status == "failed"
    assert type_in(monkeypatch, *typed) == 0
    assert read(tmp_path / "run").status == "finished"
    assert (tmp_path / "run" / "failed-1" / "traceback.txt").exists()


def test_a_run_that_breaks_keeps_its_checkpoint_and_says_where_the_traceback_is(
    tmp_path, monkeypatch, capsys
):
    At(monkeypatch, 5, crash)
    typed = [*short(tmp_path), f"hydra.run.dir={tmp_path / 'run'}"]
    assert type_in(monkeypatch, *typed) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: RuntimeError: the machine broke"
    assert str(tmp_path / "run" / "traceback.txt") in second
    monkeypatch.undo()
    assert "holds a run already" in refused(monkeypatch, capsys, *typed)


def test_a_run_writes_where_its_name_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    typed = [o for o in short(tmp_path) if not o.startswith("data.path")]
    assert type_in(monkeypatch, *typed, "data.path=text.txt", "norm=layernorm") == 0
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    assert re.match(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_", folder.name)
    result = read(folder)
    assert result.choices["norm"] == "layernorm"
    assert result.choices["task"] == "causal_lm"
    assert result.overrides == [*typed, "data.path=text.txt", "norm=layernorm"]
    hydra = yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text())
    assert hydra == result.overrides
    output = capsys.readouterr().out
    relative = folder.relative_to(tmp_path)
    assert f"lightning_transformer.generate {relative}" in output.replace("'", "")
    assert f"resume={relative} trainer.max_steps=12\n" in output.replace("'", "")


def test_a_folder_that_cannot_be_made_is_refused_before_anything(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        said = refused(monkeypatch, capsys, *short(tmp_path), f"hydra.run.dir={folder}")
        assert said == (
            f"hydra.run.dir={folder}: {tmp_path / 'file'} is a file; choose another folder"
        )
    said = refused(
        monkeypatch, capsys, *short(tmp_path), "-m", "seed=1,2", f"hydra.sweep.dir={folder}"
    )
    assert said.startswith(f"hydra.sweep.dir={folder}: {tmp_path / 'file'} is a file")
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_without_the_right_to_write_is_refused(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "locked" / "a" / "run"
    access = os.access

    def closed(path, mode):  # a superuser may write everywhere
        return "locked" not in str(path) and access(path, mode)

    (tmp_path / "locked").mkdir()
    monkeypatch.setattr(os, "access", closed)
    said = refused(monkeypatch, capsys, *short(tmp_path), f"hydra.run.dir={folder}")
    assert said == (
        f"hydra.run.dir={folder}: {tmp_path / 'locked'} may not be written to; choose another "
        "folder"
    )
    monkeypatch.chdir(tmp_path / "locked")  # where outputs/ would be made
    said = refused(monkeypatch, capsys, *short(tmp_path))
    assert said.startswith(f"hydra.run.dir=outputs/runs: {tmp_path / 'locked'} may not be")


def test_a_disk_without_room_for_two_checkpoints_is_refused(tmp_path, monkeypatch, capsys):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 10_000))
    folder = tmp_path / "run"
    said = refused(monkeypatch, capsys, *short(tmp_path), f"hydra.run.dir={folder}")
    assert said.startswith(f"hydra.run.dir: {folder}: a checkpoint needs ")
    assert said.endswith(" and 0 MB are free; choose another folder")
    assert not (folder / "checkpoints").exists()


@pytest.mark.slow
def test_a_folder_of_ones_own_configurations_is_found(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine" / "norm").mkdir(parents=True)
    option = "_target_: lightning_transformer.nn.norm.rmsnorm.RMSNorm\n_partial_: true\neps: 0.5\n"
    (tmp_path / "mine" / "norm" / "own.yaml").write_text(option)
    where = ("--config-dir", str(tmp_path / "mine"))
    typed = [*short(tmp_path), "norm=own", f"hydra.run.dir={tmp_path / 'run'}"]
    assert "unknown option norm=own" in refused(monkeypatch, capsys, *typed)
    assert type_in(monkeypatch, *typed, *where) == 0
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["norm"]["eps"] == 0.5
    assert "is not a folder" in refused(monkeypatch, capsys, *typed, "--config-dir", "nowhere")
    assert type_in(monkeypatch, "--help", *where) == 0
    assert re.search(r"^  norm +.*\bown\b", capsys.readouterr().out, re.MULTILINE)


# -- in a process of its own -----------------------------------------------------------------------


def without_torch(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Type it where importing torch or Lightning is an error."""
    code = (
        "import sys; sys.modules.update(torch=None, lightning=None, numpy=None)\n"
        f"sys.argv[1:] = {list(arguments)!r}\n"
        "from lightning_transformer.cli.main import main; main()"
    )
    call = [sys.executable, "-c", code]
    return subprocess.run(call, capture_output=True, text=True, env=environment())


def test_help_lists_all_that_is_on_disk_without_torch():
    done = without_torch("--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = {}
    block = done.stdout.split("Groups and their options\n")[1].split("\n\nKeys")[0]
    name, column = "", 4 + max(map(len, ON_DISK))
    for line in block.splitlines():
        name = line[:column].strip() or name
        listed.setdefault(name, []).extend(line[column:].split())
    assert listed == ON_DISK
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_version_without_torch():
    done = without_torch("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


def test_the_configuration_can_be_shown_without_torch():
    done = without_torch("--cfg", "job", "norm=layernorm", "seed=5")
    assert (done.returncode, done.stderr) == (0, "")
    shown = yaml.safe_load(done.stdout)
    assert shown["seed"] == 5
    assert shown["norm"]["_target_"].endswith("LayerNorm")
    assert "hydra" not in shown
    part = without_torch("--cfg", "job", "--package", "norm")
    assert part.returncode == 0
    assert "eps" in part.stdout
    assert "trainer" not in part.stdout


def test_refusals_while_composing_need_no_torch():
    """In one process, whose children each have one command line to refuse."""
    commands = ["norm=rmsnrom", "norm.eps=abc", "data=text", "pooling=cls", "seed=1,2", "--nope"]
    code = (
        "import os, sys; sys.modules.update(torch=None, lightning=None, numpy=None)\n"
        "import lightning_transformer.config.compose\n"
        "from lightning_transformer.cli.main import main\n"
        f"for typed in {commands!r}:\n"
        "    if not (child := os.fork()):\n"
        "        sys.argv[1:] = [typed]; main()\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)\n"
    )
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, capture_output=True, text=True, env=environment())
    assert done.stdout.split() == ["2"] * len(commands)
    lines = done.stderr.splitlines()
    assert len(lines) == len(commands)
    assert all(line.startswith("error: ") for line in lines)


def test_the_module_can_be_run_and_refuses_alike(tmp_path):
    done = command("norm.epz=1", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: unknown key norm.epz; did you mean norm.eps?\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_failure_of_the_machine_ends_with_exit_code_1(tmp_path):
    """A limit on the size of files, as of a quota, that the first checkpoint exceeds."""
    folder = tmp_path / "run"
    typed = [*short(tmp_path), f"hydra.run.dir={folder}"]
    done = subprocess.run(
        [sys.executable, "-m", "lightning_transformer", *typed],
        cwd=tmp_path,
        env=environment() | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (30_000, 30_000)),
    )
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.startswith("error: OSError: ")
    assert "the checkpoint of step 3 was not written (File too large)" in first
    assert str(folder / "traceback.txt") in second
    assert (read(folder).status, read(folder).steps) == ("failed", None)
    assert list((folder / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_results_are_the_same_by_hand_and_by_command(tmp_path, monkeypatch):
    short_run(tmp_path / "hand")
    type_in(monkeypatch, *short(tmp_path), f"hydra.run.dir={tmp_path / 'typed'}")
    hand, typed = (
        json.loads((tmp_path / n / "result.json").read_text()) for n in ("hand", "typed")
    )
    assert hand["metrics"] == typed["metrics"]
    assert hand["config_sha256"] == typed["config_sha256"]
    assert difference(tmp_path / "hand", tmp_path / "typed") == 0

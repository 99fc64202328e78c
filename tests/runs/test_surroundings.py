"""The same command wherever it is typed: locales, consoles, pipes, folders, signals."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from lightning_transformer.runs.result import read
from tests.helpers.short_runs import ROOT, environment, short, type_in

COMMAND = [sys.executable, "-m", "lightning_transformer"]
BARE = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run(folder, *overrides, env=None, shell=None, stdout=subprocess.PIPE):
    """The command in this folder; shell: wrapped around it as in `sh -c '"$@" | head -2'`."""
    typed = [*COMMAND, *short(folder, "hydra.run.dir=run", *overrides)]
    call = ["sh", "-c", shell, "sh", *typed] if shell else typed
    return subprocess.run(
        call, cwd=folder, env=env or environment(), stdout=stdout, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"LC_ALL": "C"}, marks=pytest.mark.thorough),
        pytest.param(
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, marks=pytest.mark.slow
        ),
        pytest.param({"PYTHONIOENCODING": "cp1252"}, marks=pytest.mark.thorough),
        pytest.param({"PYTHONIOENCODING": "ascii"}, marks=pytest.mark.thorough),
    ],
    ids=lambda env: ",".join(f"{k}={v}" for k, v in env.items()) or "env -i",
)
def test_any_environment(tmp_path, env):
    """With characters in the text, and so in the sample, that these consoles do not have."""
    text = "".join(f"{i} α β γ … “quoted” ünïcode 漢字. The cat sat.\n" for i in range(300))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    done = run(tmp_path, "callbacks=default", env=BARE | env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"finished at step 6" in done.stdout
    assert read(tmp_path / "run").status == "finished"


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param('"$@" | head -2', marks=pytest.mark.slow),
        pytest.param('"$@" >&- 2>&-', marks=pytest.mark.thorough),
        pytest.param('"$@" > /dev/full', marks=pytest.mark.slow),
        pytest.param('"$@" < /dev/null | cat', marks=pytest.mark.thorough),
    ],
)
def test_any_output(tmp_path, shell):
    done = run(tmp_path, shell=shell)
    assert done.stderr == b""
    assert read(tmp_path / "run").status == "finished"


@pytest.mark.slow
def test_a_folder_with_spaces_and_umlauts(tmp_path):
    folder = tmp_path / "mein Büro (1)"
    folder.mkdir()
    path = f'data.path="{folder / "text.txt"}"'
    typed = [o for o in short(folder, "hydra.run.dir='run one'") if not o.startswith("data.path=")]
    done = subprocess.run(
        [*COMMAND, *typed, path], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert read(folder / "run one").status == "finished"
    (line,) = re.findall(r"go on +python -m (.*)", done.stdout)
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(line)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert read(folder / "run one").steps == 12


def printed(output: str, name: str) -> list[str]:
    """The command that a run says under this name, as arguments of Python."""
    (line,) = re.findall(rf"^{name} +python -m (.*)$", output, re.MULTILINE)
    return ["-m", *shlex.split(line)]


def test_what_is_printed_works_as_typed(tmp_path, monkeypatch, capsys):
    """Options of a folder of one's own, a foreign callback, in a folder that Hydra goes into."""
    (tmp_path / "mine" / "norm").mkdir(parents=True)
    option = "_target_: lightning_transformer.nn.norm.rmsnorm.RMSNorm\n_partial_: true\neps: 0.5\n"
    (tmp_path / "mine" / "norm" / "own.yaml").write_text(option)
    monkeypatch.chdir(tmp_path)
    stopping = "+callbacks.es._target_=lightning.pytorch.callbacks.EarlyStopping"
    typed = [*short(tmp_path), "norm=own", stopping, "+callbacks.es.monitor=val/loss"]
    typed += ["hydra.run.dir=runs/one", "hydra.job.chdir=true", "--config-dir", "mine"]
    assert type_in(monkeypatch, *typed) == 0
    out = capsys.readouterr().out
    go_on = printed(out, "go on")[2:]
    assert go_on[:2] == ["--config-dir", str(tmp_path / "mine")]
    assert "resume=runs/one" in go_on
    assert stopping in go_on
    assert type_in(monkeypatch, *go_on) == 0
    assert read(tmp_path / "runs" / "one").steps == 12
    use = printed(capsys.readouterr().out, "use")
    assert use[1:] == ["lightning_transformer.generate", "runs/one", "--trust", "lightning"]
    from lightning_transformer.generate.__main__ import main

    assert main([*use[2:], "--prompt", "The", "--max-new-tokens", "3"]) == 0
    # Without the callback the message says what to add, and that is accepted.
    typed = [o for o in go_on if o != stopping and not o.startswith("trainer.max_steps")]
    typed.append("trainer.max_steps=14")
    assert type_in(monkeypatch, *typed) == 2
    (again,) = re.findall(r"type (\S+) again", capsys.readouterr().err)
    assert type_in(monkeypatch, *typed, *shlex.split(again)) == 0
    assert read(tmp_path / "runs" / "one").steps == 14


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1", "SIGTERM"])
def test_signals_stop_with_a_checkpoint(tmp_path, name):
    number = signal.Signals[name]
    typed = [*COMMAND, *short(tmp_path, "trainer.max_steps=3000", "hydra.run.dir=run")]
    # As if typed into a terminal, although the tests themselves may run under nohup.
    heard = f"import os, signal, sys; signal.signal({number:d}, signal.SIG_DFL); "
    typed = [sys.executable, "-c", f"{heard}os.execv(sys.argv[1], sys.argv[1:])", *typed]
    with subprocess.Popen(
        typed, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        wait_for(process, tmp_path / "run" / "checkpoints")
        process.send_signal(number)
        assert process.wait(240) == 128 + number
        process.stdout.close()
    result = read(tmp_path / "run")
    assert result.status == "stopped"
    assert (tmp_path / "run" / "checkpoints" / f"step-{result.steps}").exists()


@pytest.mark.slow
def test_a_run_that_was_started_with_nohup_outlives_its_terminal(tmp_path):
    typed = ["nohup", *COMMAND, *short(tmp_path, "trainer.max_steps=60", "hydra.run.dir=run")]
    with subprocess.Popen(
        typed, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_for(process, tmp_path / "run" / "checkpoints")
        process.send_signal(signal.SIGHUP)
        assert process.wait(240) == 0
    assert read(tmp_path / "run").steps == 60


def wait_for(process, path):
    end = time.monotonic() + 240
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)

"""The command itself, from the arguments to what is written, on runs that were really trained."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lightning_transformer.generate.__main__ import main
from tests.helpers.short_runs import environment, leave_checkpoint, start
from tests.unit.generate.folders import KINDS, make_run

ROOT = Path(__file__).resolve().parents[3]
LINES = [f"the {a} cat sat on {b} mats" for a in ("old", "red", "big") for b in range(12)]


def data_file(folder: Path, name: str, lines: list[str]) -> str:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / name)


def data(kind: str, folder: Path) -> list[str]:
    """What to type for data of the kind."""
    if kind == "seq2seq":
        source = data_file(folder, "source", LINES)
        target = data_file(folder, "target", [line.upper() for line in LINES])
        return ["data=parallel", f"data.source={source}", f"data.target={target}"]
    if kind == "classification":
        rows = [json.dumps({"text": line, "label": line.split()[1]}) for line in LINES]
        return ["data=labelled", f"data.path={data_file(folder, 'rows.jsonl', rows)}"]
    if kind == "tagging":
        words = [[f"{w} {'N' if w == 'cat' else 'O'}" for w in line.split()] for line in LINES]
        sentences = ["\n".join([*rows, ""]) for rows in words]
        return ["data=conll", f"data.path={data_file(folder, 'words.conll', sentences)}"]
    return ["data=text", f"data.path={data_file(folder, 'text.txt', LINES * 3)}"]


ANSWERS = {
    "causal_lm": (["--prompt", "the cät", "--max-new-tokens", "9"], "", r"the cät.*\n"),
    "seq2seq": (["--max-new-tokens", "9"], "the cat\n\na mat\n", r"[^\n]*\n\n[^\n]*\n"),
    "masked_lm": (["--prompt", "the [MASK]at"], "", r"the .at\n"),
    "classification": (["--file", "-"], "cat\nmat\n", r"((old|red|big)\t[01]\.\d{3}\n){2}"),
    "tagging": (["--prompt", "the cat"], "", r"the\t[NO]\ncat\t[NO]\n\n"),
}


@pytest.fixture(scope="module", params=KINDS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two steps; its parent is called after the kind."""
    return trained_run(request.param, tmp_path_factory.mktemp("trained"))


def trained_run(kind: str, base: Path) -> Path:
    folder = base / kind
    folder.mkdir()
    small = ["debug=fast", "model.d_model=32", "data.seq_len=48", "trainer=cpu"]
    quiet = ["logger=none", "callbacks=none"]
    start(folder / "run", [*KINDS[kind], *small, *quiet, *data(kind, folder)])
    return folder / "run"


def test_a_trained_run_answers(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, stdin, expected = ANSWERS[trained.parent.name]
    for checkpoint in ("best", "last"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        assert main([str(trained), *arguments, "--checkpoint", checkpoint]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        assert re.fullmatch(expected, said.out, re.DOTALL)


def process(run: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lightning_transformer.generate", str(run), *arguments]
    return subprocess.run(
        command, env=environment(), input=stdin, capture_output=True, encoding="utf-8", check=False
    )


@pytest.mark.slow
def test_a_process_writes_text_and_nothing_else(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "causal_lm")
    done = process(run, "--max-new-tokens", "12", stdin="the cät\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("the cät")
    assert done.stdout.endswith("\n")


@pytest.mark.slow
def test_a_trained_run_answers_in_a_process_of_its_own(tmp_path: Path) -> None:
    arguments, stdin, expected = ANSWERS["seq2seq"]
    done = process(trained_run("seq2seq", tmp_path), *arguments, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(expected, done.stdout, re.DOTALL)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="pipes of another kind")
def test_a_reader_that_leaves_early_gets_no_traceback(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "causal_lm")
    command = [sys.executable, "-m", "lightning_transformer.generate", str(run), "--prompt", "a"]
    command += ["--n-samples", "40", "--batch-size", "1", "--max-new-tokens", "2000"]
    child = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.read(10)
    child.stdout.close()
    assert (child.wait(), child.stderr.read()) == (141, b"")
    child.stderr.close()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err


class Trap:
    """What unpickles to a call of os.mkdir."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.folder,)


def test_a_checkpoint_that_would_run_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", "causal_lm")
    trap = tmp_path / "sprung"
    # Its author can write a manifest that fits, too.
    shutil.rmtree(run / "checkpoints")
    state = leave_checkpoint(run, {"state_dict": {}, "extra": Trap(trap)})
    assert "state.ckpt cannot be read" in refused(capsys, str(run), "--prompt", "a")
    assert not trap.exists()
    state.write_bytes(pickle.dumps(Trap(trap), protocol=2))
    assert "state.ckpt has" in refused(capsys, str(run), "--prompt", "a")
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip file", b"x" * 100])
def test_a_damaged_checkpoint_is_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", "causal_lm")
    (run / "checkpoints" / "step-1" / "state.ckpt").write_bytes(content)
    assert "state.ckpt has" in refused(capsys, str(run), "--prompt", "a")


def test_a_checkpoint_of_another_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", "causal_lm")
    other = make_run(tmp_path / "other", "causal_lm", "model.d_model=16")
    shutil.rmtree(run / "checkpoints")
    shutil.move(other / "checkpoints", run / "checkpoints")
    assert "does not fit its config.yaml: " in refused(capsys, str(run), "--prompt", "a")


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", "causal_lm")
    shutil.rmtree(run / "checkpoints")
    leave_checkpoint(run, {}, validated=False)
    said = refused(capsys, str(run), "--prompt", "a")
    assert "has no checkpoint best: the run is finished; use --checkpoint last" in said
    leave_checkpoint(run, {}, step=2)
    (run / "labels.json").unlink()
    assert "labels.json" in refused(capsys, str(run), "--prompt", "a")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", "causal_lm")
    assert "torch sees no GPU" in refused(capsys, str(run), "--prompt", "a", "--device", "cuda")


def test_the_python_of_the_documentation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "guides" / "generate.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    make_run(tmp_path / "outputs" / "runs" / "RUN", "causal_lm")
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "generate.md", "exec"), {})
    assert len(printed.getvalue()) > 10

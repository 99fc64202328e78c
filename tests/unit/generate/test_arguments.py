from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_transformer.decoding.sampling import Beams, Sampling
from lightning_transformer.generate.arguments import make_parser, parse, with_piped
from lightning_transformer.tasks.predict import split_lines

ROOT = Path(__file__).resolve().parents[3]
COMMAND = "python -m lightning_transformer.generate"


def type_in(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_defaults() -> None:
    request = parse(["RUN"])
    options = request.options
    assert (request.texts, request.checkpoint, request.device) == (None, "best", "auto")
    assert (options.max_new_tokens, options.batch_size, options.n_samples) == (200, 32, 1)
    assert options.sampling(0.8) == Sampling(0.8)
    assert options.sampling(0.0) == Sampling(0.0)
    assert parse(["RUN", "--temperature", "1.5", "--top-k", "3"]).options.sampling(0.0) == Sampling(
        1.5, 3
    )
    assert parse(["RUN", "--greedy"]).options.sampling(0.8) == Sampling(0.0)
    assert options.beams is None
    beams = parse(["RUN", "--n-beams", "3", "--greedy", "--n-best", "2"]).options
    assert beams.beams == Beams(3, 1.0, 2)
    assert beams.sampling(0.8) == Sampling(0.0)


def test_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse(["RUN", "--prompt", " a", "--prompt", ""]).texts == (" a", "")
    file = tmp_path / "lines.txt"
    file.write_bytes("one\r\n\r\nthrée".encode())
    assert parse(["RUN", f"--file={file}"]).texts == ("one", "", "thrée")
    type_in(monkeypatch, b"x\n y\n")
    assert parse(["RUN", "--file", "-"]).texts == ("x", " y")


def test_what_is_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "ä\n b \n".encode())
    request = with_piped(parse(["RUN"]))
    assert request.piped == "ä\n b \n"
    assert split_lines(request.piped) == ["ä", " b "]
    type_in(monkeypatch, b"not read")
    assert with_piped(parse(["RUN", "--prompt", "p"])).piped is None
    type_in(monkeypatch, b"")
    with pytest.raises(ValueError, match="nothing to read: give --prompt"):
        split_lines(with_piped(parse(["RUN"])).piped)
    type_in(monkeypatch, b"a\xff")
    with pytest.raises(ValueError, match="not UTF-8 at byte 1"):
        with_piped(parse(["RUN"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "required: RUN_FOLDER"),
        ("RUN --max-new-tokens 0", "'0' must be a whole number, at least 1, e.g. 200"),
        ("RUN --max-new-tokens 2.5", "'2.5' must be a whole number"),
        ("RUN --batch-size 0", "--batch-size"),
        ("RUN --n-samples 0", "--n-samples"),
        ("RUN --seed -1", "--seed"),
        ("RUN --n-beams 1", "'1' must be a whole number, at least 2, e.g. 4"),
        ("RUN --n-draft 0 --draft B", "--n-draft"),
        ("RUN --top-k x", "--top-k"),
        ("RUN --checkpoint newest", "best"),
        ("RUN --device tpu", "cuda"),
        ("RUN --greedy --temperature 1", "not allowed with"),
        ("RUN --prompt a --file b", "not allowed with"),
        ("RUN --promt a", "--promt"),
        ("RUN --top 3", "--top"),
    ],
)
def test_wrong_words_exit_with_one_line(
    options: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(options.split())
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert message in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--top-k 0", "top_k=0"),
        ("--top-p 2", "top_p=2.0"),
        ("--temperature nan", "temperature=nan"),
        ("--greedy --top-k 5", "top_k=5 has no effect"),
        ("--temperature 0 --top-p 0.5", "top_p=0.5 has no effect"),
        ("--greedy --seed 3", "seed=3 has no effect"),
        ("--min-p 0", "min_p=0.0 must be in (0, 1], for example 0.05"),
        ("--greedy --min-p 0.1", "min_p=0.1 has no effect on greedy decoding"),
        ("--repetition-penalty 0.5", "repetition_penalty=0.5 must be a number of at least 1"),
        ("--stop=", "stop='' would end every text at once"),
        ("--n-best 2", "--n-best=2 has no effect without --n-beams"),
        ("--length-penalty 1", "--length-penalty=1.0 has no effect without --n-beams"),
        ("--n-draft 2", "--n-draft=2 has no effect without --draft"),
        ("--n-beams 2 --n-best 3", "n_best=3 must be at most n_beams=2"),
        ("--n-beams 4 --top-k 3", "top_k=3 has no effect on beam search"),
        ("--n-beams 4 --temperature 1", "temperature=1.0 has no effect on beam search"),
        ("--n-beams 4 --n-samples 2", "n_samples=2 are drawn, and beam search draws nothing"),
        ("--n-beams 4 --draft B", "--draft drafts one text, not the beams of --n-beams"),
        ("--file a --format csv --n-beams 2 --n-best 2", "--format adds one prediction to each"),
        ("--file a --format csv --scores", "--scores: --format adds predictions alone"),
        ("--file no_such_file", "--file=no_such_file: no such file"),
    ],
)
def test_values_that_cannot_be(options: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(["RUN", *options.split()])


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match="is empty; it must hold one text per line"):
        parse(["RUN", "--file", str(tmp_path / "empty")])


def test_refusing_what_has_no_effect() -> None:
    options = parse(["RUN", "--prompt=--seed", "--top-k=5"]).options
    options.refuse("labels only", "seed")
    with pytest.raises(ValueError, match="--top-k has no effect: labels only; leave it out"):
        options.refuse("labels only", "seed", "top_k")


def test_commands_in_the_help_and_in_the_documentation_are_valid() -> None:
    page = (ROOT / "docs" / "guides" / "generate.md").read_text(encoding="utf-8")
    commands = re.findall(rf"{re.escape(COMMAND)} (.*)", make_parser().format_help() + page)
    commands = [c for c in commands if c.startswith("outputs/runs/RUN")]
    assert len(commands) >= 12
    for command in commands:
        words = shlex.split(command.split(">")[0].split("#")[0])
        if "--file" in words:  # the file is the reader's
            at = words.index("--file") + 1
            words[at] = str(ROOT / "LICENSE") if words[at] != "-" else "LICENSE"
        if words[-1] == "LICENSE":
            continue
        parse(words)


def test_wrong_input_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom lightning_transformer.generate.__main__ import main\n"
        f"status = main([{str(tmp_path)!r}, '--prompt', 'a'])\n"
        "print(status, [m for m in ('torch', 'lightning', 'hydra') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "2 []\n"
    assert done.stderr.startswith(f"error: {tmp_path} is not a run folder")
    assert done.stderr.count("\n") == 1

"""`python -m lightning_transformer.data`, and data.explain beside what training really gets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_transformer.cli.data_command import main
from lightning_transformer.look.finished import config_of, leave_out
from lightning_transformer.look.opened import open_data
from lightning_transformer.models.base import Transformer
from lightning_transformer.runs.result import read
from tests.helpers.short_runs import short, short_pairs, start, type_in

GUTTER = 9


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    try:
        code = main(arguments)
    except SystemExit as end:  # of argparse
        code = int(end.code or 0)
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cleen"], "cleen is no command; did you mean clean?"),
        (["outputs/nothing"], "outputs/nothing is neither a run folder nor KEY=VALUE nor"),
        (["clean", "--al"], "unrecognized arguments: --al"),
        (["clean", "now"], "unrecognized arguments: now"),
        (["--example", "3"], "unrecognized arguments: --example"),
        (["--examples", "-1"], "'-1' must be a whole number, at least 0"),
        (["--config-dir", "nowhere"], "--config-dir=nowhere is not a folder"),
        (["data=txt"], "unknown option data=txt; did you mean text?"),
        (["data=text"], "add data.path="),
        (["seed=1,2"], "look at one configuration at a time"),
        (["data=conll", "data.path=x", "task=causal_lm"], "reads Tokens examples, but data=conll"),
        (["data.explain=0"], "counted from 1 as in metrics.csv, e.g. data.explain=1"),
        (["data.explain=1.5"], "data.explain=1.5 must be one step"),
        (["resume=outputs/runs/R"], ".data outputs/runs/R data.explain=1`"),
        (["data.explain=801", "trainer.max_steps=800"], "choose 1 to 800"),
    ],
)
def test_wrong_words_get_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, *arguments)


def test_data_of_another_kind_than_the_usual_get_a_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"it was {'good' if i % 2 else 'bad'} {i},{i % 2}\n" for i in range(200))
    (tmp_path / "rows.csv").write_text("text,label\n" + rows)
    typed = ["data=labelled", f"data.path={tmp_path / 'rows.csv'}"]
    assert main([*typed, "--examples", "1"]) == 0
    said = capsys.readouterr().out
    assert "data=labelled gives Labelled examples: shown for task=classification" in said
    assert re.search(r"^label +[01]$", said, re.M)
    assert main([*typed, "--examples", "0", "task=classification", "model=encoder_only"]) == 0
    said = capsys.readouterr().out
    assert "shown for" not in said
    assert "Examples" not in said


def captured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Any]]:
    """What training_step is called with, from now on: (optimizer step from 0, batch)."""
    found: list[tuple[int, Any]] = []
    original = Transformer.training_step

    def training_step(self: Transformer, batch: Any, batch_idx: int) -> torch.Tensor:
        found.append((self.global_step, batch))
        return original(self, batch, batch_idx)

    monkeypatch.setattr(Transformer, "training_step", training_step)
    return found


def shown(text: str, name: str) -> list[str]:
    """The cells of each row's lines of this name, put together; one text per row."""
    rows: list[list[str]] = []
    for part in re.split(r"\n\n(?=\S+  example )", text)[1:]:
        lines = [line[GUTTER:] for line in part.splitlines() if line.startswith(f"{name} ")]
        rows.append([cell for line in lines for cell in line.split()])
    return ["".join(cells) for cells in rows]


def visible(ids: torch.Tensor) -> str:
    """Bytes as the page shows them, padding left out."""
    names = {256: "", 257: "[BOS]", 258: "[EOS]", 259: "[MASK]", 32: "␣", 10: "↵", -100: "·"}
    return "".join(names.get(i, chr(i) if 0 <= i < 128 else f"<{i}>") for i in ids.tolist())


@pytest.mark.parametrize("kind", ["pairs", "masked"])
def test_a_step_is_shown_as_training_gets_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["trainer.accumulate=2", "data.batch_size=8", "seed=3", "trainer.max_steps=5"]
    if kind == "pairs":
        typed = short_pairs(tmp_path, *more)
    else:
        typed = short(tmp_path, "model=encoder_only", "task=masked_lm", *more)
    found = captured(monkeypatch)
    start(tmp_path / "run", typed)
    capsys.readouterr()
    for place in ([*typed], [str(tmp_path / "run")]):
        assert main([*place, "data.explain=4"]) == 0
        text = capsys.readouterr().out
        batches = [batch for step, batch in found if step == 3]
        assert len(batches) == 2
        rows = [row for batch in batches for row in batch.input_ids]
        assert shown(text, "reads") == [visible(row) for row in rows]
        if kind == "pairs":
            sources = [row for batch in batches for row in batch.source_ids]
            assert shown(text, "source") == [visible(row) for row in sources]
        labels = [row for batch in batches for row in batch.labels]
        targets = [visible(row[row != -100]) for row in labels]
        assert [text.replace("·", "") for text in shown(text, "target")] == targets


def test_training_with_explain_shows_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert type_in(monkeypatch, *short(tmp_path), "data.explain=2") == 0
    said = capsys.readouterr()
    assert "Step 2 of 6  8 examples" in said.out
    assert said.err == ""
    assert not (tmp_path / "outputs").exists()
    assert type_in(monkeypatch, *short(tmp_path), "data.explain=7") == 2
    assert "choose 1 to 6" in capsys.readouterr().err


def test_a_run_is_shown_with_its_own_data_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    start(run, short(tmp_path, "guard=rewind", "trainer.max_steps=3"))
    assert read(run).status == "finished"
    capsys.readouterr()
    assert "leave data.seq_len=8 out" in refused(capsys, str(run), "data.seq_len=8")
    assert "one run at a time" in refused(capsys, str(run), str(tmp_path))
    assert "not a run folder" in refused(capsys, str(tmp_path))
    with (tmp_path / "text.txt").open("a") as file:
        file.write("one more")
    assert "the data have changed since" in refused(capsys, str(run), "data.explain=1")


def test_data_that_a_run_skipped_after_a_spike_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = captured(monkeypatch)
    step = Transformer.training_step

    def poisoned(self: Transformer, batch: Any, batch_idx: int) -> torch.Tensor:
        bad = self.global_step == 9 and len(found) == 9
        return step(self, batch, batch_idx) * (float("nan") if bad else 1.0)

    monkeypatch.setattr(Transformer, "training_step", poisoned)
    guard = ["guard=rewind", "guard.window=16", "guard.after=8", "guard.back=1", "guard.skip=1"]
    steps = ["trainer.max_steps=12", "trainer.val_every=4"]
    start(tmp_path / "run", short(tmp_path, *guard, *steps))
    assert [number for number, _ in found] == [*range(10), *range(8, 12)]
    opened = open_data(config_of(tmp_path / "run"), {})
    leave_out(tmp_path / "run", opened.data)
    (loader,) = opened.loaders()
    for number, batch in found[:8] + found[10:]:
        assert torch.equal(loader.batches(number)[0].input_ids, batch.input_ids)
    assert not torch.equal(loader.batches(8)[0].input_ids, found[8][1].input_ids)

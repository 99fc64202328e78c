"""Whole runs of task=preference: cut steps, ranks, going on, what is kept, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lightning_transformer.api.evaluate import evaluate
from lightning_transformer.api.train import train
from lightning_transformer.build import load_run
from lightning_transformer.runs.result import RunResult
from lightning_transformer.training.start.own_answers import FILE
from tests.helpers.short_runs import (
    SHORT,
    At,
    checkpoint,
    command,
    crash,
    difference,
    history,
    refused,
    sentences,
    type_in,
    weights,
)

BATCHES = [text for text in SHORT if not text.startswith(("data=", "data.seq_len"))]
FEW = [*BATCHES, "optimizer=adamw", "optimizer.lr=1e-2"]
EXACT = ("trainer.precision=64-true",)


def preferences(folder: Path) -> list[str]:
    """What to type for a run of six steps on prompts of different length."""
    path = folder / "preferences.jsonl"
    texts = sentences(180, seed=0)
    rows = zip(texts[::3], texts[1::3], texts[2::3], strict=True)
    lines = [json.dumps(dict(zip(("prompt", "chosen", "rejected"), r, strict=True))) for r in rows]
    path.write_text("\n".join(lines) + "\n")
    return [
        *FEW,
        "task=preference",
        f"data.path={path}",
        "data.val_fraction=0.2",
        "data.seq_len=128",
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], RunResult]:
    folder = tmp_path_factory.mktemp("whole")
    typed = [*preferences(folder), *EXACT]
    return folder / "run", typed, train(typed, folder / "run")


def test_a_step_may_be_cut_in_any_way(
    whole: tuple[Path, list[str], RunResult], tmp_path: Path
) -> None:
    run, typed, result = whole
    cut = train([*typed, "trainer.accumulate=4"], tmp_path / "run")
    assert difference(run, tmp_path / "run") < 1e-10
    assert result.metrics == pytest.approx(cut.metrics, rel=1e-9)


@pytest.mark.slow
def test_two_processes_train_as_one(
    whole: tuple[Path, list[str], RunResult], tmp_path: Path
) -> None:
    run, typed, _ = whole
    kept = [text for text in typed if text != "trainer=cpu"]
    ranks = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    done = command(*kept, *ranks, f"hydra.run.dir={tmp_path / 'run'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert difference(run, tmp_path / "run") < 1e-10


def test_what_is_kept_of_the_start_is_no_part_of_the_model(
    whole: tuple[Path, list[str], RunResult],
) -> None:
    run, _, result = whole
    assert result.reference == {"kind": "values at the start"}
    kept = checkpoint(run)["task"]["reference"]
    parameters = dict(load_run(run, "last").named_parameters())
    assert kept.keys() == parameters.keys()
    assert not any(torch.equal(kept[name], p) for name, p in parameters.items())
    n_params = sum(p.numel() for p in parameters.values())
    assert result.n_params == result.n_params_trained == n_params
    names = {"loss", "accuracy", "margin", "exact_match", "probability", "chosen_nll"}
    assert {n for n in result.metrics if n.startswith("test/")} == {f"test/{n}" for n in names}


@pytest.mark.parametrize("option", ["dpo", "orpo"])
def test_a_killed_run_goes_on_to_the_bit(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = [*preferences(tmp_path), f"preference={option}", "residual.dropout=0.1"]
    train(typed, tmp_path / "whole")
    with monkeypatch.context() as patch:
        At(patch, 5, crash)
        with pytest.raises(RuntimeError, match="the machine broke"):
            train(typed, tmp_path / "run")
    assert type_in(monkeypatch, f"resume={tmp_path / 'run'}") == 0
    assert difference(tmp_path / "whole", tmp_path / "run") == 0.0
    assert history(tmp_path / "whole") == history(tmp_path / "run")
    one, other = (checkpoint(tmp_path / name)["task"]["reference"] for name in ("whole", "run"))
    assert (one is None) == (option == "orpo")
    assert one is None or all(torch.equal(value, other[name]) for name, value in one.items())


# -- from the answers of the model itself ---------------------------------------------------------

SUMS = [*FEW, "data=sums", "data.n_train=300", "data.n_eval=60", "data.seq_len=16"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is taught a part of the answers by heart."""
    folder = tmp_path_factory.mktemp("base") / "run"
    own = ("data.n_train=40", "data.n_eval=20", "trainer.max_steps=60", "trainer.val_every=60")
    train([*SUMS, "task=instruct", *own, "data.batch_size=32"], folder)
    return folder


def test_pairs_are_of_the_start_and_are_drawn_once(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [f"init_from={base}", "task=preference", "adapter=lora"]
    typed = [*[t for t in SUMS if "model" not in t and "tokenizer" not in t], *own]
    whole = train(typed, tmp_path / "whole")
    assert whole.reference == {"kind": "adapter off"}
    assert checkpoint(tmp_path / "whole")["task"]["reference"] == {}
    rows = [json.loads(line) for line in (tmp_path / "whole" / FILE).read_text().splitlines()]
    for row in rows:
        one, other = row["prompt"].removesuffix("=").split("+")
        assert int(row["chosen"]) == int(one) + int(other)
        assert row["rejected"] != row["chosen"]
        assert row["rejected"] or row["split"] != "train"
    n = sum(row["split"] == "train" for row in rows)
    assert whole.data["preferences"]["train"] == n > 0
    assert sum(row["split"] == "test" for row in rows) == 60  # also those without a pair
    tested = {k: v for k, v in whole.metrics.items() if k.startswith("test/")}
    assert evaluate(tmp_path / "whole")["metrics"] == tested  # of the pairs that were drawn
    with pytest.raises(ValueError, match=r"^data.n_eval=9: pairs out of data=sums are of answers"):
        evaluate(tmp_path / "whole", ["data.n_eval=9"])
    with monkeypatch.context() as patch:
        At(patch, 5, crash)
        with pytest.raises(RuntimeError, match="the machine broke"):
            train(typed, tmp_path / "run")
    text = (tmp_path / "run" / FILE).read_text()
    assert text == (tmp_path / "whole" / FILE).read_text()
    assert type_in(monkeypatch, f"resume={tmp_path / 'run'}") == 0
    assert difference(tmp_path / "whole", tmp_path / "run") == 0.0
    assert checkpoint(tmp_path / "run")["state_dict"].keys() == weights(tmp_path / "whole").keys()


@pytest.mark.parametrize(
    ("own", "line"),
    [
        (["data=sums", "task=preference", "data.n_train=64", "data.n_eval=8"],
         "data=sums: no train question has a right and a wrong answer among 8 of the model"),
        (["task=preference", "model=encoder_only"], "task=preference needs a causal model"),
        (["task=preference", "loss=cross_entropy"], "loss=cross_entropy has no effect here"),
        (["preference=dpo"], "preference"),
        (["task=preference", "preference.beta=0"], "preference.beta=0 must be a positive number"),
    ],
)  # fmt: skip
def test_refuses(
    own: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed = preferences(tmp_path)
    kept = [t for t in typed if t.split("=")[0] in ("data.path", "task") or "trainer" in t]
    if "data=sums" in own or "preference=dpo" in own:
        kept = [t for t in kept if not t.startswith(("data.", "task"))]
    found = refused(monkeypatch, capsys, *kept, *own, f"hydra.run.dir={tmp_path / 'run'}")
    assert line in found


def test_a_row_that_prefers_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = preferences(tmp_path)
    with (tmp_path / "preferences.jsonl").open("a") as file:
        file.write(json.dumps({"prompt": "a", "chosen": "b", "rejected": "b"}) + "\n")
    line = refused(monkeypatch, capsys, *typed, f"hydra.run.dir={tmp_path / 'run'}")
    assert "preferences.jsonl:61: chosen and rejected are the same text" in line

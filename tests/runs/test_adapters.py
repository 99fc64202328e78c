"""Whole runs with adapters: what stays, what is recorded, going on, merging, and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from lightning_transformer.api.train import train
from lightning_transformer.build import load_run, merged_weights
from lightning_transformer.runs.result import RunResult, read
from tests.conftest import options
from tests.helpers.short_runs import (
    At,
    checkpoint,
    difference,
    interrupt,
    refused,
    short,
    type_in,
    weights,
)
from tests.runs.test_fine_tuning import data_only, step_0

OPTIONS = [name for name in options("adapter") if name not in ("none", "head")]
OWN = ("attention.bias=true", "ffn.bias=true", "tie_embeddings=false")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("base")
    typed = short(folder, *OWN, "trainer.val_every=6")
    train(typed, folder / "run")
    return folder / "run", [*data_only(typed), f"init_from={folder / 'run'}"]


def adapted(folder: Path, typed: list[str], *own: str) -> RunResult:
    return train([*typed, "optimizer=adamw", "optimizer.lr=1e-3", *own], folder)


@pytest.mark.parametrize("option", OPTIONS)
def test_the_base_stays_and_the_folder_holds_the_whole_model(
    option: str, base: tuple[Path, list[str]], tmp_path: Path
) -> None:
    run, typed = base
    own = [f"adapter={option}", "trainer.val_every=3"]
    own += ["adapter.n_tokens=2"] if option in ("prompt", "prefix") else []
    result = adapted(tmp_path / "run", typed, *own)
    at_start = step_0(tmp_path / "run") == read(run).metrics["val/loss"]
    assert at_start == (option not in ("prompt", "prefix"))  # which are read from the first step on
    before, after = weights(run), weights(tmp_path / "run")
    moved = [name for name in after if name not in before or not same(after[name], before[name])]
    kept = [name for name in before if name not in moved]
    assert all(name.endswith(".bias") or ".adapter." in name for name in moved)
    assert set(before) <= set(after)
    n_trained = sum(after[name].numel() for name in moved)
    assert (result.n_params_trained, result.n_params_frozen) == (
        n_trained, sum(before[name].numel() for name in kept)
    )  # fmt: skip
    groups = checkpoint(tmp_path / "run")["optimizer_states"][0]["param_groups"]
    assert sum(len(group["params"]) for group in groups) == len(moved)
    base_flops = read(run).flops_per_token
    assert result.flops_per_token is not None
    assert base_flops is not None
    assert result.flops_per_token < base_flops
    model = load_run(tmp_path / "run", "last")
    assert all(same(value, after[name]) for name, value in model.state_dict().items())


def same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one, other)


def test_an_adapted_run_goes_on_to_the_bit(
    base: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, typed = base
    own = ("adapter=dora", "adapter.dropout=0.1")
    whole = adapted(tmp_path / "whole", typed, *own)
    with monkeypatch.context() as patch:
        At(patch, 4, interrupt)
        adapted(tmp_path / "part", typed, *own)
    assert read(tmp_path / "part").status != "finished"
    monkeypatch.chdir(tmp_path)
    assert type_in(monkeypatch, f"resume={tmp_path / 'part'}") == 0
    assert difference(tmp_path / "part", tmp_path / "whole") == 0.0
    assert read(tmp_path / "part").n_params_trained == whole.n_params_trained


def test_the_next_run_starts_with_merged_weights(
    base: tuple[Path, list[str]], tmp_path: Path
) -> None:
    run, typed = base
    first = adapted(tmp_path / "lora", typed, "adapter=lora")
    merged = merged_weights(tmp_path / "lora", "last")
    assert set(merged) == set(weights(run))
    again = [text for text in typed if not text.startswith("init_from=")]
    train([*again, f"init_from={tmp_path / 'lora'}"], tmp_path / "next")
    assert step_0(tmp_path / "next") == pytest.approx(first.metrics["val/loss"], rel=1e-5)


def test_the_head_of_another_task_is_trained_alone(
    base: tuple[Path, list[str]], tmp_path: Path
) -> None:
    run, typed = base
    given = [*typed, "adapter=head", "fresh=['task.head.*']"]
    adapted(tmp_path / "run", given)
    before, after = weights(run), weights(tmp_path / "run")
    moved = [name for name in after if not same(after[name], before[name])]
    assert moved == ["task.head.weight"]


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (("adapter=lora",), "adapter=lora trains little beside weights that are kept, and here"),
        (("adapter=bitfit", "BASE", "freeze=embeddings"), "freeze=embeddings beside adapter=bitf"),
        (("adapter=lora", "BASE", "adapter.rank=33"), "adapter.rank=33 is above the width"),
        (("adapter=lora", "BASE", "adapter.targets=[q,w]"), "adapter.targets=w matches no layer"),
        (("adapter=lora", "BASE", "adapter.rank=0"), "adapter.rank=0 must be at least 1"),
        (
            ("adapter=head", "BASE", "optimizer=adamw"),
            "adapter=head leaves nothing to train: this run adds no part",
        ),
        (("adapter=head", "BASE"), "optimizer=muon finds no hidden matrix in DecoderOnly; take"),
        (("adapter=prefix", "BASE", "adapter.n_tokens=0"), "adapter.n_tokens=0 must be at least 1"),
        (("adapter=lora", "BASE", "tokenizer.add=[mask]"), "tokenizer.add=[mask] needs a table of"),
        (("adapter=lorra", "BASE"), "unknown option adapter=lorra; did you mean"),
    ],
)
def test_refuses(
    own: tuple[str, ...],
    words: str,
    base: tuple[Path, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, typed = base
    monkeypatch.chdir(tmp_path)
    plain = [text for text in typed if not text.startswith("init_from=")]
    given = [f"init_from={run}" if text == "BASE" else text for text in own]
    assert refused(monkeypatch, capsys, *plain, *given).startswith(words)

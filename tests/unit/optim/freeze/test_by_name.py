"""freeze=by_name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lightning_transformer.errors import ConfigError
from lightning_transformer.optim.freeze.by_name import by_name
from tests.conftest import compose_config, options
from tests.helpers.short_runs import At, checkpoint, interrupt, short, short_run, start

FROZEN = ("freeze=by_name", "freeze.patterns=[embedding.*,*.norm.*]")


def small_options(folder: Path) -> dict[str, Any]:
    """For the tests of all options."""
    return {"patterns": "[embedding.*]"}


def model() -> nn.Module:
    return nn.ModuleDict({"a": nn.Linear(2, 3), "b": nn.ModuleList([nn.Linear(3, 3)])})


def frozen(module: nn.Module) -> list[str]:
    return [name for name, parameter in module.named_parameters() if not parameter.requires_grad]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["a.*"], ["a.weight", "a.bias"]),
        (["*.bias"], ["a.bias", "b.0.bias"]),
        (["b.?.weight", "a.bias"], ["a.bias", "b.0.weight"]),
    ],
)
def test_what_matches_is_not_trained(patterns: list[str], names: list[str]) -> None:
    module = model()
    by_name(module, patterns=patterns)
    assert frozen(module) == names


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (["a.*", "c.*"], r"^freeze\.patterns=c\.\* matches none of the 4 parameters, such as a\.w"),
        (["A.*"], r"^freeze\.patterns=A\.\* matches none"),
        (["*"], r"^freeze\.patterns=\[\*\] leaves nothing to train; try \[a\.weight\]"),
        ([], r"^freeze\.patterns=\[\] must be a list with a pattern"),
        ("a.*", r"^freeze\.patterns=a\.\* must be a list with a pattern in it, such as"),
    ],
)
def test_what_would_do_nothing_or_everything_is_refused(patterns: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        by_name(model(), patterns=patterns)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("optimizer", options("optimizer"))
def test_no_optimizer_moves_or_remembers_what_is_frozen(tmp_path: Path, optimizer: str) -> None:
    schedule = ("schedule=constant",) if optimizer == "schedule_free" else ()
    typed = ("trainer.max_steps=2", "trainer.val_every=2", "schedule.warmup_steps=1", *schedule)
    result = short_run(tmp_path / "run", f"optimizer={optimizer}", *typed, *FROZEN)
    state = checkpoint(tmp_path / "run")
    names = [n for n in state["state_dict"] if n.startswith("embedding.") or ".norm." in n]
    assert names
    from lightning_transformer.build import build_model
    from lightning_transformer.data.tokenizers.file import load_vocabulary

    cfg = compose_config(*short(tmp_path, f"optimizer={optimizer}", *typed))
    vocabulary = load_vocabulary(tmp_path / "run" / "tokenizer.json")
    first = build_model(cfg, vocabulary=vocabulary, labels=[], seed=1).state_dict()
    for name, value in state["state_dict"].items():
        assert torch.equal(value, first[name]) == (name in names or name == "task.head.weight"), (
            name
        )
    n_held = sum(len(group["params"]) for group in state["optimizer_states"][0]["param_groups"])
    assert n_held == len(list(dict(first))) - len(names) - 1  # the tied head is the embedding
    assert result.n_params_frozen == sum(first[name].numel() for name in names)


def test_the_summary_shows_what_is_trained_and_what_is_frozen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = short_run(tmp_path / "run", *FROZEN)
    rows = {
        line.split()[0]: line.split()[-1]
        for line in capsys.readouterr().out.splitlines()
        if line.split()
    }
    assert result.n_params is not None
    assert result.n_params_frozen
    assert rows["frozen"] == f"{result.n_params_frozen:,}"
    assert rows["trained"] == f"{result.n_params - result.n_params_frozen:,}"


def test_a_pattern_without_a_match_is_refused_before_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected(*args: Any) -> None:
        raise AssertionError("data were read for a run that is refused")

    monkeypatch.setattr("lightning_transformer.data.sources.text.Text.read", unexpected)
    with pytest.raises(ConfigError, match=r"^freeze\.patterns=embeding\.\* matches none of the "):
        short_run(tmp_path / "run", "freeze=by_name", "freeze.patterns=[embeding.*]")


def test_a_resumed_run_is_the_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = short(tmp_path, "model.dropout=0.1", *FROZEN)
    start(tmp_path / "whole", typed)
    with monkeypatch.context() as patch:
        At(patch, 4, interrupt)
        start(tmp_path / "run", typed)
    start(tmp_path / "run", typed, resume=True)
    one, other = (checkpoint(tmp_path / name)["state_dict"] for name in ("whole", "run"))
    assert all(torch.equal(other[name], value) for name, value in one.items())

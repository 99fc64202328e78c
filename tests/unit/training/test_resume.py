from __future__ import annotations

from pathlib import Path

import pytest

from lightning_transformer.checkpoint.store import Checkpoint
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.result import RunResult
from lightning_transformer.training.resume import (
    check_same,
    check_same_precision,
    resumed_arguments,
    saved_config,
)


@pytest.fixture
def folder(tmp_path):
    result = RunResult(overrides=["norm=layernorm", "model.d_model=64", "+x.y=1", "seed=3"])
    result.write(tmp_path)
    return tmp_path


def test_without_resume_nothing_changes(folder):
    assert resumed_arguments(["a=1", "b.c=2"]) == ["a=1", "b.c=2"]
    assert resumed_arguments(["a=1", "resume=null"]) == ["a=1", "resume=null"]


def test_the_runs_own_overrides_come_first_and_new_ones_replace_them(folder):
    typed = ["trainer.max_steps=9", f"resume={folder}", "seed=3", "++x.y=2", "hydra.run.dir=other"]
    assert resumed_arguments(typed) == [
        "norm=layernorm",
        "model.d_model=64",
        "trainer.max_steps=9",
        "seed=3",
        "++x.y=2",
        f"resume='{folder}'",
        f"hydra.run.dir='{folder}'",
    ]


def test_resuming_twice_does_not_pile_up(folder):
    result = RunResult(overrides=resumed_arguments([f"resume={folder}"])[:-1])
    result.write(folder)
    again = resumed_arguments([f"resume={folder}/"])
    assert sum(text.startswith("resume=") for text in again) == 1


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_quotes_around_the_folder(folder, quote):
    arguments = resumed_arguments([f"resume={quote}{folder}{quote}"])
    assert arguments[-1] == f"hydra.run.dir='{folder}'"


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"^resume=.*nope: .*nope does not exist; name a run"):
        resumed_arguments([f"resume={tmp_path / 'nope'}"])
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(ConfigError, match=r"^resume=.*is not valid JSON"):
        resumed_arguments([f"resume={tmp_path}"])


OLD = {
    "seed": 1,
    "model": {"d_model": 32, "norm": {"eps": 1e-6, "dims": [1, 2]}},
    "trainer": {"max_steps": 6, "accumulate": 1},
    "callbacks": {"samples": {"n": 3}},
    "logger": {"_target_": "a"},
}


def test_the_way_of_training_may_change():
    new = {**OLD, "trainer": {"max_steps": 12, "accumulate": 1}, "callbacks": {}, "logger": {}}
    check_same(OLD, new)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 2}, "seed: 1 then, 2 now"),
        ({"model": {**OLD["model"], "d_model": 64}}, "model.d_model: 32 then, 64 now"),
        ({"model": {"d_model": 32, "norm": {"eps": 1e-6, "dims": [1, 3]}}}, "model.norm.dims: [1"),
        (
            {"model": {"d_model": 32}},
            "model.norm: {'eps': 1e-06, 'dims': [1, 2]} then, nothing now",
        ),
        ({"model": {**OLD["model"], "new": 1}}, "model.new: nothing then, 1 now"),
        ({"extra": 5}, "extra: nothing then, 5 now"),
        ({"trainer": {"max_steps": 6, "accumulate": 2}}, "trainer.accumulate: 1 then, 2 now"),
    ],
)
def test_what_would_make_it_another_run_is_named(change, words):
    with pytest.raises(ConfigError) as caught:
        check_same(OLD, OLD | change)
    said = str(caught.value)
    assert f"({words}" in said
    assert "\n" not in said
    assert "trainer, guard, callbacks, logger, optimizer.lr, optimizer.muon_lr may change" in said


def test_a_long_list_of_differences_is_cut():
    old, new = ({f"k{i}": i + shift for i in range(9)} for shift in (0, 1))
    with pytest.raises(ConfigError) as caught:
        check_same(old, new)
    assert str(caught.value).count(" then, ") == 5


def test_the_saved_configuration(tmp_path):
    (tmp_path / "config.yaml").write_text("a:\n  b: 1.0e-05\n")
    assert saved_config(tmp_path) == {"a": {"b": 1e-5}}
    with pytest.raises(ConfigError, match=r"failed before its first step; start it anew$"):
        saved_config(tmp_path / "nope")


def checkpoint_of(facts: dict[str, str]) -> Checkpoint:
    return Checkpoint(Path("step-1"), 1, {}, facts, {})


def test_what_auto_stood_for_must_be_known_and_the_same() -> None:
    check_same_precision(None, "32-true")
    check_same_precision(checkpoint_of({"precision": "bf16-mixed"}), "bf16-mixed")
    with pytest.raises(ValueError, match=r"was 32-true where the run began; add trainer.precision"):
        check_same_precision(checkpoint_of({"precision": "32-true"}), "bf16-mixed")
    with pytest.raises(ValueError, match=r"does not say what it was .*; add trainer.precision=32"):
        check_same_precision(checkpoint_of({}), "bf16-mixed")

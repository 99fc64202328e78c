"""Whole runs of task=reward: what they record, going on bit by bit, and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lightning_transformer.runs.result import read
from tests.contracts.parallel_cases import on_processes
from tests.helpers.short_runs import (
    SHORT,
    At,
    checkpoint,
    difference,
    history,
    interrupt,
    refused,
    start,
    type_in,
)
from tests.unit.generate.folders import make_run

KEPT = [text for text in SHORT if not text.startswith(("data=", "trainer.val_every"))]
REWARD = (
    *("task=reward", "data=sums", "data.n_train=16", "data.n_eval=4", "trainer.val_every=6"),
    *("reward=length", "reward.target=3", "task.n_answers=3", "task.max_new_tokens=5"),
    *("policy=ppo_clip", "policy.n_updates=2", "trainer.accumulate=2", "trainer.save_every=3"),
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert start(folder, [*KEPT, *REWARD, "callbacks=default"]).status == "finished"
    return folder


def test_a_run_records_what_it_wrote_and_shows_answers_with_their_rewards(
    undisturbed: Path,
) -> None:
    result, rows = read(undisturbed), history(undisturbed)
    # 3 batches of 8 prompts with 3 answers of 1 to 5 tokens, which serve two steps each.
    assert result.tokens_generated is not None
    assert result.tokens_seen is not None
    assert 72 <= result.tokens_generated <= 360
    assert result.tokens_generated < result.tokens_seen
    assert {"test/reward", "test/p_answer", "test/exact_match"} <= set(result.metrics)
    assert "**reward**" in (undisturbed / "samples.md").read_text()
    logged = [row for row in rows if row.get("train/kl")]
    assert float(logged[0]["train/kl"]) == pytest.approx(0, abs=1e-6)
    assert float(logged[-1]["train/kl"]) > 0
    kept = checkpoint(undisturbed)["task"]
    assert len(kept["kept"]) == 8
    assert all(torch.is_tensor(value) for value in kept["reference"].values())


def test_stopped_between_updates_from_the_same_answers_and_resumed_is_undisturbed(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        At(patch, 6, interrupt)  # the second half of step 3, the first of the second answers
        assert start(folder, [*KEPT, *REWARD, "callbacks=default"]).status == "stopped"
    assert read(folder).steps == 3
    assert type_in(monkeypatch, f"resume={folder}") == 0
    assert difference(folder, undisturbed) == 0.0
    assert read(folder).tokens_generated == read(undisturbed).tokens_generated
    one, other = checkpoint(folder)["task"], checkpoint(undisturbed)["task"]
    assert one["counts"] == other["counts"]


TABLE = [
    (["task.temperature=0"], ["task.temperature=0", "at least 0.001", "for example 1.0"]),
    (["task.n_answers=1"], ["task.n_answers=1", "task.n_answers=8", "policy=reinforce"]),
    (["model=encoder_only"], ["task=reward needs a causal model", "Use model=decoder_only"]),
    (["reward=model", "reward.path=none"], ["reward.path=none cannot judge answers"]),
    (["reward=words"], ["reward.words has no value yet"]),
    (["policy=grpo", "policy.clip=0.1"], ["unknown key policy.clip"]),
]


@pytest.mark.parametrize(("typed", "words"), TABLE, ids=lambda case: " ".join(case))
def test_what_cannot_work_is_refused_in_one_line(
    typed: list[str],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    groups = [text.split("=")[0] for text in typed]
    base = [t for t in REWARD if not any(t.startswith((g, f"{g}.")) for g in groups)]
    line = refused(monkeypatch, capsys, *KEPT, *base, *typed, "hydra.run.dir=run")
    for word in words:
        assert word in line


def test_a_run_that_gives_no_score_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = make_run(tmp_path / "writer", "causal_lm")
    base = [text for text in REWARD if not text.startswith("reward")]
    typed = [*KEPT, *base, "reward=model", f"reward.path={writer}"]
    line = refused(monkeypatch, capsys, *typed, f"hydra.run.dir={tmp_path / 'run'}")
    assert "is a run of CausalLM, which gives texts no score" in line


@pytest.mark.slow
def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    """Six steps in float64, to 1e-10, with answers that are drawn in both."""
    kept = [text for text in KEPT if not text.startswith("trainer=")]
    typed = [*kept, *REWARD, "optimizer=adamw", "trainer.precision=64-true"]
    two = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    start(tmp_path / "one", [*typed, "trainer=cpu"])
    on_processes(tmp_path, {"two": [*typed, *two]})
    assert difference(tmp_path / "one", tmp_path / "two") <= 1e-10
    assert read(tmp_path / "two").tokens_generated == read(tmp_path / "one").tokens_generated

"""reward=model: another run judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.build import load_run
from lightning_transformer.tasks.predict import PredictOptions
from lightning_transformer.tasks.rewards.model import RunScore
from tests.unit.generate.folders import make_run
from tests.unit.tasks.rewards.answers import rewards_of


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this reward with."""
    path = folder / "judge"
    return {"path": path if path.exists() else make_run(path, "classification"), "label": "two"}


def score(path: Path, label: str | None = None) -> RunScore:
    reward = RunScore(path=str(path), label=label)
    reward.connect(load_run)
    return reward


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "judge", "classification")


def test_it_is_the_log_probability_of_the_class_for_prompt_and_answer(judge: Path) -> None:
    reward = score(judge, "two")
    reward.check()
    found = rewards_of(reward, ["a cat", "an old dog"])
    model: Any = load_run(judge)
    texts = ["Q: a cat", "Q: an old dog"]
    for mine, scores in zip(
        found, model.task.scores_of(model, texts, PredictOptions()), strict=True
    ):
        assert mine == pytest.approx(float(scores.log_softmax(-1)[1]), rel=1e-5)
    assert all(value < 0 for value in found)


def test_a_regression_gives_its_number(tmp_path: Path) -> None:
    run = make_run(tmp_path / "rated", "classification", "task=regression")
    (found,) = rewards_of(score(run), ["a cat"])
    model: Any = load_run(run)
    (value,) = model.task.scores_of(model, ["Q: a cat"], PredictOptions())
    assert found == pytest.approx(float(value), rel=1e-5)
    with pytest.raises(ValueError, match=r"reward\.label=x has no effect: .* is a regression"):
        score(run, "x").check()


def test_runs_that_cannot_judge(judge: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"reward\.path=.*none cannot judge answers: "):
        score(tmp_path / "none").check()
    with pytest.raises(ValueError, match=r"reward\.label=null is no class of .* one, two, three"):
        score(judge).check()
    writer = make_run(tmp_path / "writer", "causal_lm")
    with pytest.raises(ValueError, match=r"is a run of CausalLM, which gives texts no score"):
        score(writer).check()

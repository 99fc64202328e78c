from __future__ import annotations

import pytest
import torch

from lightning_transformer.build import load_run
from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import Batch
from tests.conftest import LABELS
from tests.unit.generate.folders import make_run
from tests.unit.tasks.predicting import written

TEXTS = ("the cat", "a dog that is far too long", "", "on", "über")


@pytest.fixture(scope="module", params=["mean", "cls"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    folder = tmp_path_factory.mktemp("runs") / request.param
    return load_run(make_run(folder, "classification", f"pooling={request.param}"))


def by_hand(model: Transformer, text: str) -> str:
    task = model.task
    ids = torch.tensor([[260] * task.n_extra_tokens + list(text.encode()[:16])])
    batch = Batch(ids, torch.tensor([0]), torch.tensor(1), ids.numel())
    with torch.no_grad():
        chances = task.scores(model.features(batch), batch)[0][0].softmax(dim=-1)
    return f"{LABELS[int(chances.argmax())]}\t{float(chances.max()):.3f}"


@pytest.mark.parametrize("batch_size", [2, 32])
def test_label_and_probability_of_each_text(model: Transformer, batch_size: int) -> None:
    text, remarks = written(model, TEXTS, batch_size=batch_size)
    lines = text.split("\n")
    assert lines == [by_hand(model, t) if t else "" for t in TEXTS] + [""]
    assert len(set(lines)) > 3
    assert remarks == "text 2: 26 tokens; the model reads only the first 16\n"


def test_options_without_effect_are_refused(model: Transformer) -> None:
    with pytest.raises(ValueError, match="--greedy has no effect"):
        written(model, TEXTS, given=frozenset(["--greedy"]))

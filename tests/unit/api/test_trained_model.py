"""`lt.load_run`: scores, text and predictions of a trained model of each task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import lightning_transformer as lt
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.tasks.base import Batch
from tests.unit.generate.folders import KINDS, make_run


@pytest.fixture(scope="module", params=KINDS)
def kind_and_run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    return request.param, make_run(tmp_path_factory.mktemp("front") / request.param, request.param)


def test_scores_and_predictions_of_each_task(kind_and_run: tuple[str, Path]) -> None:
    kind, folder = kind_and_run
    model = lt.load_run(folder)
    ids, size = model.encode("the cat"), ByteVocabulary().size
    assert ids.ndim == 2
    if kind == "seq2seq":
        assert ids[0, -1] == model.tokenizer.eos_id
        target = torch.tensor([[model.tokenizer.bos_id, 65, 66]])
        scores = model(target, source=ids)
        assert scores.shape == (1, 3, size)
        with pytest.raises(ValueError, match="model=EncoderDecoder needs a source"):
            model(ids)
    else:
        scores = model(ids)
        sizes = {"classification": (1, 3), "tagging": (1, 7, 3)}
        assert scores.shape == sizes.get(kind, (1, 7, size))
        with pytest.raises(ValueError, match="reads no source"):
            model(ids, source=ids)
        batch = Batch(ids, torch.zeros(1, dtype=torch.long), torch.tensor(1), ids.numel())
        with torch.no_grad():
            features = model.module.features(batch)
            if kind in ("causal_lm", "tagging"):
                assert torch.equal(scores, model.module.task.head(features))
    (found,) = model.predict("the [MASK]at" if kind == "masked_lm" else "the cat")
    if kind == "classification":
        label, probability = found
        assert label == ("one", "two", "three")[int(scores.argmax())]
        assert probability == pytest.approx(float(scores.softmax(-1).max()), abs=1e-6)
    elif kind == "tagging":
        assert [word for word, _ in found] == ["the", "cat"]
    else:
        assert isinstance(found, str)


def test_generate(kind_and_run: tuple[str, Path]) -> None:
    kind, folder = kind_and_run
    model = lt.load_run(folder)
    if kind not in ("causal_lm", "seq2seq"):
        with pytest.raises(ValueError, match=r"generates no text; use predict\(texts\)"):
            model.generate("the cat")
        return
    once = model.generate(["the cat", "a"], max_new_tokens=6, temperature=0.0)
    assert len(once) == 2
    assert once == model.generate(["the cat", "a"], max_new_tokens=6, temperature=0.0, batch_size=1)
    with pytest.raises(ValueError, match="max_new_tokens=0 must be at least 1"):
        model.generate("a", max_new_tokens=0)
    if kind == "causal_lm":
        ids = model.encode("the cat")
        assert torch.equal(model(ids).argmax(-1), model(ids.numpy()).argmax(-1))
        samples = model.generate("the cat", n_samples=3, max_new_tokens=6, temperature=1.0, seed=3)
        assert len(set(samples)) == 3


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 2], r"ids of shape \(2,\) must be integers \(B, T\)"),
        ([[1.5]], "must be integers"),
        ([[]], "must be integers"),
        ([[999]], r"ids must lie in \[0, 262\)"),
        ([[1] * 17], "ids have 17 tokens; the model reads at most 16"),
    ],
)
def test_ids_that_the_model_cannot_read(ids: Any, message: str, tmp_path: Path) -> None:
    model = lt.load_run(make_run(tmp_path / "run", "causal_lm"))
    with pytest.raises(ValueError, match=message):
        model(ids)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"config\.yaml"):
        lt.load_run(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature=-1.0 must be 0"),
        ({"temperature": 0.0, "seed": 7}, "seed=7 has no effect on greedy decoding"),
        ({"temperature": 0.0, "top_k": 3}, "top_k=3 has no effect"),
        ({"temperature": 0.0, "n_samples": 2}, "n_samples=2 greedy samples would all be the same"),
    ],
)
def test_options_are_refused_by_their_names_in_python(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    model = lt.load_run(make_run(tmp_path / "run", "causal_lm"))
    with pytest.raises(ValueError, match=message) as caught:
        model.generate("a", **options)
    assert "--" not in str(caught.value)

from __future__ import annotations

import pytest
import torch

from lightning_transformer.build import load_run
from lightning_transformer.data.tokenizers.characters import Characters
from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import Batch
from tests.unit.generate.folders import make_run
from tests.unit.tasks.predicting import written


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    folder = tmp_path_factory.mktemp("runs") / "mlm"
    vocabulary = Characters().train(["the cat sat\n"])
    return load_run(make_run(folder, "masked_lm", vocabulary=vocabulary))


def test_each_mask_is_one_token(model: Transformer) -> None:
    words = model.task.vocabulary
    said, _ = written(model, ("[MASK]he c[MASK][MASK] ", "", "t[MASK]"))
    first, second, third, rest = said.split("\n")
    assert (len(first), second, len(third), rest) == (7, "", 2, "")
    ids = torch.tensor([[words.mask_id, *words.encode("he c").tolist(), *[words.mask_id] * 2]])
    with torch.no_grad():
        features = model.features(Batch(ids, ids, torch.tensor(1), ids.numel()))
        best = model.task.head(features)[0, :, : words.n_text].argmax(dim=-1)
    assert first == words.decode(best[:1]) + "he c" + words.decode(best[-2:])


def test_nothing_to_fill_is_an_error(model: Transformer) -> None:
    with pytest.raises(ValueError, match=r"prompt 2 has no \[MASK\]"):
        written(model, ("t[MASK]", "the"))
    with pytest.raises(ValueError, match="among the 16 tokens that the model reads"):
        written(model, ("the cat sat the cat[MASK]",))


def test_a_long_text_and_an_unknown_character_are_remarked(model: Transformer) -> None:
    said, remarks = written(model, ("t[MASK]? the cat sat the cat",))
    assert len(said) == 17
    assert "prompt 1: 1 of 23 tokens are not in the model's vocabulary" in remarks
    assert "the model reads only the first 16" in remarks


@pytest.mark.parametrize("option", ["--seed", "--temperature", "--n-samples", "--batch-size"])
def test_options_without_effect_are_refused(model: Transformer, option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} has no effect"):
        written(model, ("t[MASK]",), given=frozenset([option]))

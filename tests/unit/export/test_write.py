"""Exported models: read by Hugging Face with equal scores, and by us bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from lightning_transformer.config.validate import plain
from lightning_transformer.convert.describe import described
from lightning_transformer.convert.model_folder import ModelFolder
from lightning_transformer.export.write import restored
from tests.helpers.model_folders import MODELS, model_of, save
from tests.helpers.started import IDS, SOURCE, scores, started, started_config

# Theirs that has no equal of its own here: segments, positions that no token has, a rescaled gain;
# and what is one weight under two names.
NOT_ONE_TO_ONE = {
    "bert": ("embeddings.position_embeddings", "token_type", "pooler"),
    "roberta": ("embeddings.position_embeddings", "token_type"),
    "gpt2": ("wpe",),
    "bart": ("embed_positions",),
    "t5": ("decoder.final_layer_norm", "embed_tokens"),
}
TASKS = {"bert": "masked_lm", "roberta": "masked_lm", "t5": "seq2seq", "bart": "seq2seq"}


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_there_and_back(name: str, tmp_path: Path) -> None:
    origin = save(model_of(name), tmp_path / "origin")
    model, _, _ = started(origin)
    cfg = started_config(origin, "data.seq_len=16")
    family, config = described(plain(cfg), TASKS.get(name, "causal_lm"), [name])
    assert family == name
    ours = model.state_dict()
    theirs, whole = restored(name, ours, config, model.task.vocabulary)
    place = tmp_path / "exported"
    place.mkdir()
    save_file(theirs, place / "model.safetensors", {"format": "pt"})
    (place / "config.json").write_text(json.dumps(whole))
    # Ours, bit for bit; a tied head is there once.
    again = ModelFolder(place).weights()
    for key, weight in ours.items():
        other = again.get(key, again["embedding.weight"])
        assert torch.equal(weight, other), key
    # Theirs, where names and values are one to one.
    for key, weight in load_file(origin / "model.safetensors").items():
        if not any(part in key for part in NOT_ONE_TO_ONE.get(name, ())):
            assert torch.equal(theirs[key], weight), key
    # Their library reads it, and gives our scores.
    kind = getattr(transformers, MODELS[name][0])
    back, info = kind.from_pretrained(place, output_loading_info=True)
    assert not info["unexpected_keys"]
    back = back.eval()
    if model.has_source:
        expected = back(input_ids=SOURCE, decoder_input_ids=IDS).logits
        found = scores(model, IDS, source_ids=SOURCE)
    else:
        expected, found = back(IDS).logits, scores(model, IDS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["norm=dyt"], r"norm=dyt is in the way: model_type=\w+, the nearest family, has not"),
        (["output_layer.bias=true"], "bias=True is in the way: model_type=llama"),
        (["pattern=global_tokens"], "pattern=global_tokens is in the way"),
    ],
)
def test_what_no_family_describes_is_refused(
    typed: list[str], message: str, tmp_path: Path
) -> None:
    origin = save(model_of("llama"), tmp_path / "origin")
    cfg = started_config(origin, "data.seq_len=16", *typed)
    with pytest.raises(ValueError, match=message):
        described(plain(cfg), "causal_lm")

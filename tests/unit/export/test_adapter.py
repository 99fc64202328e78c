"""Exported adapters: peft loads the two files beside the base, and gives our scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import save_file

from lightning_transformer.build import build
from lightning_transformer.config.validate import plain
from lightning_transformer.convert.describe import described
from lightning_transformer.export.adapter import FILES, KINDS, adapter_files
from tests.conftest import exchanged, noise
from tests.helpers.model_folders import model_of, save
from tests.helpers.started import IDS, scores, started, started_config


@torch.no_grad()
def halved(name: str) -> Any:
    """A model whose scores are small, as theirs rotates in float32 at any precision."""
    model = model_of(name)
    for parameter in model.parameters():
        parameter.mul_(0.5)
    return model


def adapted(origin: Path, option: str, name: str, **own: Any) -> tuple[Any, Any, Any]:
    """A model of a folder with an adapter of random values, its options, its config.json."""
    model, _, _ = started(origin)
    cfg = started_config(origin, "data.seq_len=16")
    _, config = described(plain(cfg), "causal_lm", [name])
    cfg = exchanged(cfg, adapter=option)
    cfg.adapter.update(own)
    build(cfg, "adapter", model=model.double(), seed=1)
    with torch.no_grad():
        for number, (key, parameter) in enumerate(model.named_parameters()):
            if ".adapter." in key:
                parameter.add_(0.1 * noise(*parameter.shape, seed=number))
    return model.eval(), plain(cfg)["adapter"], config


@torch.no_grad()
@pytest.mark.parametrize("option", KINDS)
def test_peft_reads_it_and_gives_our_scores(option: str, tmp_path: Path) -> None:
    origin = save(halved("llama"), tmp_path / "origin")
    own = {"targets": ["q", "v", "up"], "rank": 2, "alpha": 5.0} if "ora" in option else {}
    model, node, config = adapted(origin, option, "llama", **own)
    content, weights = adapter_files(model, node, "llama", config, str(origin))
    save_file(weights, tmp_path / FILES[1], {"format": "pt"})
    (tmp_path / FILES[0]).write_text(json.dumps(content))
    base = halved("llama").double().eval()
    before = base(IDS).logits
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        theirs = PeftModel.from_pretrained(base, tmp_path).double().eval()
    finally:
        torch.set_default_dtype(default)
    expected = theirs(IDS).logits[:, -IDS.shape[1] :]
    torch.testing.assert_close(scores(model, IDS), expected, rtol=0, atol=1e-6)
    assert float((expected - before).abs().max()) > 0.01


def test_layers_that_are_one_matrix_there_are_refused(tmp_path: Path) -> None:
    """GPT-2 has queries, keys and values in one, and turns the others."""
    origin = save(model_of("gpt2"), tmp_path / "origin")
    for target in ("q", "down"):
        model, node, config = adapted(origin, "lora", "gpt2", targets=[target], rank=2)
        with pytest.raises(ValueError, match="is no matrix of its own in model_type=gpt2"):
            adapter_files(model, node, "gpt2", config, "")


def test_what_peft_has_not_is_refused(tmp_path: Path) -> None:
    origin = save(model_of("llama"), tmp_path / "origin")
    model, node, config = adapted(origin, "bottleneck", "llama")
    with pytest.raises(ValueError, match="adapter=bottleneck has no form in peft, which has lora"):
        adapter_files(model, node, "llama", config, "")
    model, node, config = adapted(origin, "prompt", "llama")
    with pytest.raises(ValueError, match="adapter=prompt is written for llama alone"):
        adapter_files(model, node, "qwen3", config, "")

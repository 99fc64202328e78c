"""`lt.Stack`: the defaults of conf/, and overrides."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lightning_transformer as lt
from lightning_transformer.build import build
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.errors import ConfigError
from lightning_transformer.nn.init.base import initialise
from tests.conftest import compose_config


def test_a_stack_has_the_defaults_of_conf() -> None:
    stack: Any = lt.Stack(d_model=32, n_layers=2, max_len=16)
    cfg = compose_config("model.d_model=32", "model.n_layers=2", "data.seq_len=16")
    model: Any = build(cfg, "model", vocabulary=ByteVocabulary(), labels=(), seed=1)
    wanted, found = model.decoder.state_dict(), stack.state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in wanted.items()}
    assert repr(stack) == repr(model.decoder)
    initialise(model.decoder, build(cfg, "init"), 1)
    x = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(1))
    assert torch.equal(stack(x), model.decoder(x))
    assert stack(x).shape == x.shape


def test_a_stack_with_overrides() -> None:
    stack: Any = lt.Stack(d_model=24, n_layers=1, causal=False, overrides=["norm=dyt"])
    assert type(stack.final_norm).__name__ == "DyT"
    x = torch.randn(1, 4, 24)
    changed = torch.cat((x[:, :3], torch.randn(1, 1, 24)), dim=1)
    assert not torch.equal(stack(x)[:, 0], stack(changed)[:, 0])  # sees the last position
    with pytest.raises(ConfigError, match="n_heads"):
        lt.Stack(d_model=30, n_layers=1)
    with pytest.raises(ConfigError, match="unknown option norm=dty"):
        lt.Stack(d_model=24, n_layers=1, overrides=["norm=dty"])

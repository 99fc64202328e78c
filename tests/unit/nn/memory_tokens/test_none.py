"""memory_tokens=none."""

from __future__ import annotations

from typing import Any

from lightning_transformer.nn.memory_tokens.none import NoMemoryTokens
from tests.conftest import TINY, build_tiny, compose_config


def test_a_stack_has_none_by_default() -> None:
    model: Any = build_tiny(compose_config(*TINY))
    assert isinstance(model.decoder.memory_tokens, NoMemoryTokens)
    assert not list(model.decoder.memory_tokens.parameters())
    assert model.decoder.memory_tokens().shape == (0, 32)

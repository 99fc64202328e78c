"""Vocabularies of every tokenizer on disk, learned from a text of the test's own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from lightning_transformer.build import build
from lightning_transformer.data.tokenizers.base import Vocabulary
from tests.conftest import compose_config, options
from tests.helpers.variants import small


def trained(text: str) -> dict[str, Vocabulary]:
    """By option; each with the small sizes and files of its own test."""
    with tempfile.TemporaryDirectory() as folder:
        return {name: _tokenizer(name, Path(folder)).train([text]) for name in options("tokenizer")}


def _tokenizer(name: str, folder: Path) -> Any:
    typed = (f"tokenizer={name}", *small("tokenizer", name, folder))
    return build(compose_config(*typed), "tokenizer")

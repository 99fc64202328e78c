"""Bytes of UTF-8 as tokens: 256 ids, no training, nothing unknown."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lightning_transformer.data.pieces import ANYWHERE
from lightning_transformer.data.tokenizers.base import N_SPECIAL, Vocabulary
from lightning_transformer.runs.atomic import write_atomically


class ByteVocabulary(Vocabulary):
    """Id = value of the byte; 256 ids of text."""

    cuts = ANYWHERE
    is_utf8 = True

    def __init__(self) -> None:
        super().__init__(256)

    @property
    def id_bytes(self) -> np.ndarray:
        return np.repeat(np.array([1, 0], dtype=np.int64), [256, N_SPECIAL])

    def encode(self, text: str) -> np.ndarray:
        # A lone surrogate has no UTF-8 form; its three bytes are decoded as U+FFFD.
        encoded = text.encode("utf-8", errors="surrogatepass")
        return np.frombuffer(encoded, dtype=np.uint8).astype(np.int32)

    def encode_with_starts(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        ids = self.encode(text)
        continues = (ids & 0xC0) == 0x80
        return ids, np.cumsum(~continues) - 1

    def decode_text(self, ids: np.ndarray) -> str:
        return ids.astype(np.uint8).tobytes().decode("utf-8", errors="replace")

    def save(self, path: Path) -> None:
        write_atomically(path, json.dumps({"class": f"{__name__}.ByteVocabulary"}))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "ByteVocabulary":
        return cls()


class Bytes:
    """Tokenizer option `bytes`: nothing to learn, any text can be encoded."""

    def train(self, texts: Iterable[str]) -> ByteVocabulary:
        return ByteVocabulary()

    def identity(self) -> dict[str, Any]:
        return {}

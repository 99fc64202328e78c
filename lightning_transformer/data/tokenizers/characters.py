"""Characters of the training text as tokens."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lightning_transformer.data.pieces import ANYWHERE
from lightning_transformer.data.tokenizers.base import N_SPECIAL, Vocabulary
from lightning_transformer.runs.atomic import write_atomically


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), dtype="<u4")


class CharacterVocabulary(Vocabulary):
    """Id = rank of the character among the known ones, in the order of their code points.

    characters: the known characters as one sorted string without repetition.
    """

    cuts = ANYWHERE

    def __init__(self, characters: str) -> None:
        super().__init__(len(characters))
        self.characters = characters
        known = _code_points(characters)
        highest = int(known.max()) if known.size else -1
        # One more entry than needed: every higher code point is clamped to it and is unknown.
        self._ids = np.full(highest + 2, self.unk_id, dtype=np.int32)
        self._ids[known] = np.arange(self.n_text, dtype=np.int32)

    @property
    def id_bytes(self) -> np.ndarray:
        lengths = [len(c.encode("utf-8", errors="surrogatepass")) for c in self.characters]
        return np.array(lengths + [0] * N_SPECIAL, dtype=np.int64)

    def encode(self, text: str) -> np.ndarray:
        return self._ids[np.minimum(_code_points(text), len(self._ids) - 1)]

    def encode_with_starts(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        ids = self.encode(text)
        return ids, np.arange(len(ids))

    def decode_text(self, ids: np.ndarray) -> str:
        return "".join([self.characters[i] for i in ids.tolist()])

    def save(self, path: Path) -> None:
        content = {"class": f"{__name__}.CharacterVocabulary", "characters": self.characters}
        write_atomically(path, json.dumps(content))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "CharacterVocabulary":
        return cls(content["characters"])


class Characters:
    """Tokenizer option `characters`: the vocabulary is what the training text contains."""

    def train(self, texts: Iterable[str]) -> CharacterVocabulary:
        known: set[str] = set()
        for text in texts:
            known.update(text)
        return CharacterVocabulary("".join(sorted(known)))

    def identity(self) -> dict[str, Any]:
        return {}

"""One vocabulary for all parts of a mixture."""

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from lightning_transformer.data.base import DataModule
from lightning_transformer.data.cache import cached
from lightning_transformer.data.mixing.part_records import InPart, cleaned_records, ingredients
from lightning_transformer.data.store import corpus
from lightning_transformer.data.tokenizers.base import Tokenizer, Vocabulary
from lightning_transformer.data.tokenizers.file import load_vocabulary


class LearnedTokenizer:
    """In place of a tokenizer: the vocabulary that it has learned from all parts."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def train(self, texts: Iterable[str]) -> Vocabulary:
        """The vocabulary; the texts are not looked at."""
        return self.vocabulary

    def identity(self) -> dict[str, Any]:
        """The digest of the vocabulary."""
        return {"sha256": hashlib.sha256(_saved(self.vocabulary).encode()).hexdigest()}


def learned_from_all(
    tokenizer: Tokenizer,
    parts: Mapping[str, DataModule],
    in_part: InPart = lambda name: nullcontext(),
) -> Tokenizer:
    """A tokenizer for the parts, which has learned from the cleaned training texts of all of them.

    Each text counts once, part after part by name: shares of the mixture change no token. One that
    has nothing to learn is returned as it is. What is learned from large files is cached.

    in_part: see `InPart`.
    """
    if _learns_nothing(tokenizer):
        return tokenizer

    def texts() -> Iterator[str]:
        for name, part in parts.items():
            with in_part(name), cleaned_records(part) as records:
                for record in records["train"]:
                    yield from record.learned()

    def learned() -> str:
        return _saved(tokenizer.train(texts()))

    if not any(part.is_large() for part in parts.values()):
        return LearnedTokenizer(_loaded(learned()))
    content = cached("vocabulary", _key(parts), lambda: json.loads(learned()))
    return LearnedTokenizer(_loaded(json.dumps(content)))


def _learns_nothing(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer gives its vocabulary without a look at any text."""
    asked: list[bool] = []

    def none() -> Iterator[str]:
        asked.append(True)
        yield "a"

    tokenizer.train(none())
    return not asked


def _key(parts: Mapping[str, DataModule]) -> str:
    """Digest of all that the vocabulary depends on."""
    text = json.dumps([sys.version, ingredients(parts)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _saved(vocabulary: Vocabulary) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / corpus.VOCABULARY
        vocabulary.save(path)
        return path.read_text(encoding="utf-8")


def _loaded(content: str) -> Vocabulary:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / corpus.VOCABULARY
        path.write_text(content, encoding="utf-8")
        return load_vocabulary(path)

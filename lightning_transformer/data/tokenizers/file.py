"""A vocabulary from a tokenizer.json, written by this package or by the `tokenizers` library."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from pathlib import Path

import tokenizers

from lightning_transformer.data.files import read_text
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.data.tokenizers.subword import SubwordVocabulary


def load_vocabulary(path: Path | str) -> Vocabulary:
    """Read what `Vocabulary.save` wrote, or any tokenizer.json of the `tokenizers` library.

    Our own files name their class, which must be an importable Vocabulary with `from_json`.
    Raises ValueError for a missing file and for one that is neither.
    """
    text = read_text(str(path), key="tokenizer.path")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: {error.msg}; expected a tokenizer.json") from None
    if isinstance(content, dict) and "class" in content:
        module, _, name = str(content["class"]).rpartition(".")
        try:
            kind = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError):
            kind = None
        if not (isinstance(kind, type) and issubclass(kind, Vocabulary)):
            raise ValueError(
                f"{path} names the vocabulary class {content['class']}, which is not installed; "
                "install the package that wrote the file"
            )
        return kind.from_json(content)  # type: ignore[attr-defined]
    try:
        tokenizer = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare Exception
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path} is not a tokenizer.json of the tokenizers library: {reason}"
        ) from None
    return SubwordVocabulary(tokenizer)


class File:
    """Tokenizer option `file`: a given tokenizer.json, used as it is; nothing is learned.

    path: the file, relative to the working folder.
    """

    def __init__(self, *, path: str) -> None:
        self.path = path

    def train(self, texts: Iterable[str]) -> Vocabulary:
        return load_vocabulary(self.path)

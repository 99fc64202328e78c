"""A vocabulary from a tokenizer.json, written by this package or by the `tokenizers` library."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tokenizers

from lightning_transformer.data.files import check_file, read_text
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.data.tokenizers.subword import SubwordVocabulary
from lightning_transformer.runs.trusted_targets import PACKAGE, named_object, plugin_packages


def load_vocabulary(path: Path | str) -> Vocabulary:
    """Read what `Vocabulary.save` wrote, or any tokenizer.json of the `tokenizers` library.

    Our own files name their class: a Vocabulary with `from_json` that this package or an installed
    plug-in defines; nothing else is imported. Raises ValueError for any other file.
    """
    text = read_text(str(path), key="tokenizer.path")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: {error.msg}; expected a tokenizer.json") from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply for a tokenizer.json") from None
    if isinstance(content, dict) and "class" in content:
        kind = _vocabulary_class(str(content["class"]), path)
        try:
            return kind.from_json(content)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} does not hold a {kind.__name__} ({error!r})") from None
    try:
        return SubwordVocabulary(tokenizers.Tokenizer.from_str(text))
    except Exception as error:  # the library raises bare Exception
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path} is not a tokenizer.json of the tokenizers library: {reason}"
        ) from None


def _vocabulary_class(name: str, path: Path | str) -> Any:
    """The class that a file names, if a file may name it."""
    try:
        kind = named_object(name, {PACKAGE, *plugin_packages()})
    except ValueError as error:
        raise ValueError(
            f"{path}: the vocabulary class {name} {error}; install the plug-in that wrote the file"
        ) from None
    if not (isinstance(kind, type) and issubclass(kind, Vocabulary) and hasattr(kind, "from_json")):
        raise ValueError(f"{path}: {name} is not a vocabulary class with from_json")
    return kind


class File:
    """Tokenizer option `file`: a given tokenizer.json, used as it is; nothing is learned.

    path: the file, relative to the working folder.
    """

    def __init__(self, *, path: str) -> None:
        self.path = path

    def train(self, texts: Iterable[str]) -> Vocabulary:
        return load_vocabulary(self.path)

    def identity(self) -> dict[str, Any]:
        content = check_file(self.path, "tokenizer.path").read_bytes()
        return {"sha256": hashlib.sha256(content).hexdigest()}

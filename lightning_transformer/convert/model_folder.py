"""A model in the format of Hugging Face on disk: its facts without torch, its weights with it."""

from __future__ import annotations

import hashlib
import importlib
import json
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.family import Family, Sizes
from lightning_transformer.convert.names import not_used

if TYPE_CHECKING:
    from torch import Tensor

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
INDEX = f"{WEIGHTS}.index.json"
FAMILIES = Path(__file__).parent / "families"
MAX_HEADER = 100_000_000  # bytes of names and shapes, as the format itself allows


def family_names() -> list[str]:
    """The names of all families, as `model_type` has them."""
    return sorted(p.stem for p in FAMILIES.glob("*.py") if p.stem != "__init__")


def family(name: str) -> Family:
    """The module of a family."""
    module = importlib.import_module(f"lightning_transformer.convert.families.{name}")
    return cast(Family, module)


@dataclass(frozen=True)
class ModelFolder:
    """config.json, *.safetensors with or without an index, tokenizer.json; nothing is unpickled.

    Raises ValueError, in one line, for what is missing, damaged or of a family that is not known.
    """

    path: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        return read_json(self.path / CONFIG)

    @property
    def family_name(self) -> str:
        name = self.config.get("model_type")
        if name not in family_names():
            raise ValueError(
                f"{self.path / CONFIG}: model_type={name} is no family that is known here; "
                f"choose from {', '.join(family_names())}"
            )
        return str(name)

    @property
    def family(self) -> Family:
        return family(self.family_name)

    @cached_property
    def files(self) -> list[Path]:
        """The files with weights."""
        if (self.path / INDEX).is_file():
            parts = read_json(self.path / INDEX).get("weight_map", {})
            found = [self.path / str(name) for name in sorted(set(parts.values()))]
            for file in found:
                if file.parent != self.path or not file.is_file():
                    raise ValueError(f"{file} is missing, which {INDEX} names; copy it there")
            return found
        if (self.path / WEIGHTS).is_file():
            return [self.path / WEIGHTS]
        other = next((p.name for p in sorted(self.path.glob("*.bin"))), None)
        what = f"only {other}, which could run code" if other else f"no {WEIGHTS}"
        raise ValueError(
            f"{self.path} has {what}; save the model with save_pretrained(FOLDER), which writes "
            f"{WEIGHTS}"
        )

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names of all tensors as the whole model has them, and their shapes, from the headers."""
        found: dict[str, tuple[int, ...]] = {}
        for file in self.files:
            found |= {name: tuple(entry["shape"]) for name, entry in _header(file).items()}
        return self._whole(found)

    def _whole(self, found: dict[str, Any]) -> dict[str, Any]:
        """By the names in the model with its head, where the one without was saved."""
        prefix = self.family.PREFIX
        if any(name.startswith(prefix) for name in found):
            return found
        return {prefix + name: entry for name, entry in found.items()}

    def sizes(self) -> Sizes:
        """Overrides that make this model; every key of config.json is read, or refused."""
        keys = Keys(self.config, self.shapes, self.path / CONFIG)
        found = self.family.sizes(keys)
        keys.end()
        return found

    @property
    def vocab_size(self) -> int:
        """Rows of the table of embeddings."""
        size = self.config.get("vocab_size")
        if type(size) is not int or size < 1:
            raise ValueError(f"{self.path / CONFIG}: vocab_size={size} must be a number, above 0")
        return size

    def digest(self) -> str:
        """SHA-256 of config.json and of all weights, in the order of their names."""
        sha = hashlib.sha256()
        for file in (self.path / CONFIG, *self.files):
            with file.open("rb") as opened:
                while block := opened.read(1 << 20):
                    sha.update(block)
        return sha.hexdigest()

    def unused(self) -> list[str]:
        """Names of tensors that have no place here, such as those of BERT's pooler."""
        return not_used(self.shapes, self.family.RULES)

    def weights(self) -> dict[str, Tensor]:
        """The weights under our names, in float32 or, where they have it, float64."""
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        theirs: dict[str, Tensor] = {}
        for file in self.files:
            try:
                theirs |= load_file(file)
            except (SafetensorError, OSError, ValueError) as error:
                raise ValueError(f"{file} is damaged: {' '.join(str(error).split())}") from None
        whole = self._whole(theirs)
        for name, weight in whole.items():
            if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
                raise ValueError(f"{self.path}: weight {name} holds NaN or infinity")
        ours = self.family.convert(whole, self.config)
        return {n: w if w.dtype == torch.float64 else w.float() for n, w in ours.items()}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; ValueError in one line for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object")
    return content


def _header(file: Path) -> dict[str, Any]:
    """Names, types and shapes in a file of tensors: a length of 8 bytes, then JSON."""
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            if length > MAX_HEADER:
                raise ValueError("its header is too long")
            content = json.loads(opened.read(length))
        end = max((entry["data_offsets"][1] for n, entry in content.items() if n[:2] != "__"))
        if file.stat().st_size != 8 + length + end:
            raise ValueError(f"it has {file.stat().st_size} bytes instead of {8 + length + end}")
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{file} is damaged ({reason}); copy it again") from None
    content.pop("__metadata__", None)
    return content

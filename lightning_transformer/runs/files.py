"""The files of a run folder: configuration, tokenizer, labels and checkpoints."""

import json
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.data.tokenizers.file import load_vocabulary
from lightning_transformer.results import write_atomically

CONFIG, TOKENIZER, LABELS, CHECKPOINTS = (
    "config.yaml",
    "tokenizer.json",
    "labels.json",
    "checkpoints",
)


class RunFiles:
    """Where a run keeps what; everything that is needed to use its model again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints = folder / CHECKPOINTS

    def checkpoint(self, name: str) -> Path:
        """Path of the checkpoint `best` or `last`."""
        return self.checkpoints / f"{name}.ckpt"

    def save(self, config: dict[str, Any], vocabulary: Vocabulary, labels: Sequence[str]) -> None:
        """Write all but the checkpoints; config is plain and resolved."""
        write_atomically(self.folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(config)))
        write_atomically(self.folder / LABELS, json.dumps(list(labels)))
        vocabulary.save(self.folder / TOKENIZER)

    def config(self) -> DictConfig:
        """The resolved configuration of the run."""
        path = self.folder / CONFIG
        if not path.is_file():
            raise ValueError(f"{self.folder} is not a run folder: it has no {CONFIG}")
        config = OmegaConf.load(path)
        assert isinstance(config, DictConfig)
        return config

    def load(self) -> tuple[DictConfig, Vocabulary, list[str]]:
        """Configuration, tokenizer and labels."""
        config = self.config()
        labels = json.loads((self.folder / LABELS).read_text(encoding="utf-8"))
        return config, load_vocabulary(self.folder / TOKENIZER), labels

    def load_checkpoint(self, name: str) -> dict[str, Any]:
        """Tensors and plain values only: nothing in the file is executed."""
        path = self.checkpoint(name)
        if not path.is_file():
            raise ValueError(f"{self.folder} has no checkpoint {name}: {path} does not exist")
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except UnpicklingError:  # torch's own words recommend to load it all the same
            raise ValueError(
                f"{path} cannot be read (it is damaged, or holds more than tensors and plain "
                "values; nothing in it was run)"
            ) from None
        except (RuntimeError, EOFError, OSError, LookupError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"{path} cannot be read ({reason})") from None

"""The files of a run folder: configuration, tokenizer, labels and checkpoints."""

import json
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.checkpoint import store
from lightning_transformer.checkpoint.frozen import put_back
from lightning_transformer.checkpoint.sharded import is_sharded, load_sharded
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.data.tokenizers.file import load_vocabulary
from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.runs.untrusted import check_archive, stored_config, stored_labels

CONFIG, TOKENIZER, LABELS = "config.yaml", "tokenizer.json", "labels.json"
DOCUMENT_LOSSES, GUESS = "document_losses.npy", "baseline_guess.npy"

# What torch's reader of plain values raises for bytes that nobody has checked.
UNREADABLE = (
    *(RuntimeError, EOFError, OSError, LookupError, ValueError, TypeError, AttributeError),
    *(AssertionError, MemoryError),
)


class RunFiles:
    """Where a run keeps what; everything that is needed to use its model again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints = folder / store.FOLDER

    def save(self, config: dict[str, Any], vocabulary: Vocabulary, labels: Sequence[str]) -> None:
        """Write all but the checkpoints; config is plain and resolved."""
        write_atomically(self.folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(config)))
        write_atomically(self.folder / LABELS, json.dumps(list(labels)))
        vocabulary.save(self.folder / TOKENIZER)

    def save_document_losses(self, losses: np.ndarray) -> None:
        """Loss, number of targets and document of each test example; see `with_documents`."""
        self._save_array(DOCUMENT_LOSSES, losses)

    def save_item_scores(self, metric: str, scores: np.ndarray) -> str:
        """The score of each item of a task by a metric; return the name of the file."""
        name = re.sub(r"[^\w.-]+", "_", metric).strip("._") + ".npy"
        self._save_array(name, scores)
        return name

    def save_guess(self, scores: np.ndarray) -> None:
        """The scores of the guess for all targets, which is the baseline of the run's metrics."""
        self._save_array(GUESS, scores)

    def _save_array(self, name: str, values: np.ndarray) -> None:
        content = BytesIO()
        np.save(content, values, allow_pickle=False)
        write_atomically(self.folder / name, content.getvalue())

    def load_guess(self) -> np.ndarray | None:
        """What `save_guess` wrote; None where there is none. Raises ValueError for what is not."""
        path = self.folder / GUESS
        if not path.exists():
            return None
        try:
            found = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            raise ValueError(f"{path} cannot be read; remove it, to measure no baseline") from None
        assert isinstance(found, np.ndarray)
        return found

    def config(self) -> DictConfig:
        """The resolved configuration of the run."""
        return OmegaConf.create(stored_config(self.folder / CONFIG))

    def load(self) -> tuple[DictConfig, Vocabulary, list[str]]:
        """Configuration, tokenizer and labels."""
        config = self.config()
        labels = stored_labels(self.folder / LABELS)
        return config, load_vocabulary(self.folder / TOKENIZER), labels

    def load_checkpoint(self, name: str) -> dict[str, Any]:
        """The `best` or the `last` checkpoint, undamaged: tensors and plain values only."""
        found = store.NAMED[name](self.checkpoints)
        if found is None:
            raise ValueError(f"{self.folder} has no checkpoint {name}")
        return read_state(found.state)


def read_state(path: Path) -> dict[str, Any]:
    """Read what a trainer wrote; ValueError, in one line, where it is not what it should be."""
    check_archive(path)
    try:
        if is_sharded(path):
            return load_sharded(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:  # torch's message recommends to load it all the same
        raise ValueError(
            f"{path} cannot be read (it is damaged, or holds more than tensors and plain "
            "values; nothing in it was run)"
        ) from None
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} cannot be read ({reason})") from None
    if not isinstance(state, dict):
        raise ValueError(f"{path} cannot be read (it holds a {type(state).__name__})")
    return put_back(state, path)

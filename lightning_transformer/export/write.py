"""The files of an exported model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from lightning_transformer.build import merged_weights
from lightning_transformer.checkpoint.run_files import RunFiles
from lightning_transformer.convert.model_folder import CONFIG, TOKENIZER, WEIGHTS, family
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.export.model_card import model_card
from lightning_transformer.export.tokenizer import token_names, tokenizer_of
from lightning_transformer.runs.atomic import atomic_path, write_atomically
from lightning_transformer.runs.result import read

HEAD, TABLE = "task.head.weight", "embedding.weight"
GENERATION = "generation_config.json"


def write_model(run: Path, to: Path, checkpoint: str, name: str, config: Mapping[str, Any]) -> None:
    """Write the model of a run, of which `convert.describe` has said what it is.

    Raises ValueError where the vocabulary has no form there.
    """
    files = RunFiles(run)
    vocabulary = files.load()[1]
    weights = merged_weights(run, checkpoint)
    tokenizer = tokenizer_of(vocabulary)
    to.mkdir(parents=True, exist_ok=True)
    theirs, whole = restored(name, weights, config, vocabulary)
    with atomic_path(to / WEIGHTS) as temporary:
        save_file(theirs, temporary, {"format": "pt"})
    _write(to / CONFIG, whole)
    write_atomically(to / TOKENIZER, tokenizer)
    _write(to / "tokenizer_config.json", token_names(vocabulary, tokenizer))
    _write(to / GENERATION, special_ids(vocabulary))
    write_atomically(to / "README.md", model_card(read(run), name, to.name))


def restored(
    name: str, weights: Mapping[str, Tensor], config: Mapping[str, Any], vocabulary: Vocabulary
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights under their names, a tied table once, and the whole config.json."""
    ours, kind = dict(weights), family(name)
    if config.get("tie_word_embeddings"):
        ours.pop(HEAD, None)
    whole: dict[str, Any] = {
        **config,
        "model_type": name,
        "architectures": [kind.ARCHITECTURE],
        "vocab_size": len(ours[TABLE]),
        "torch_dtype": str(ours[TABLE].dtype).rpartition(".")[2],
        **special_ids(vocabulary),
    }
    n_positions = kind.positions(config)
    if n_positions is not None:  # those of special tokens came on top
        n = next(len(w) for key, w in ours.items() if key.endswith("position.table.weight"))
        whole[kind.POSITIONS] += n - n_positions
    own = {key: w.contiguous() for key, w in kind.restore(ours, whole).items()}
    seen: set[int] = set()
    for key, weight in own.items():  # one memory may not be written under two names
        own[key] = weight.clone() if weight.data_ptr() in seen else weight
        seen.add(weight.data_ptr())
    return own, whole


def special_ids(vocabulary: Vocabulary) -> dict[str, int]:
    """The ids that generating needs, of those that the vocabulary has."""
    found = {}
    for name, key in (
        ("pad_id", "pad_token_id"),
        ("bos_id", "bos_token_id"),
        ("eos_id", "eos_token_id"),
        ("bos_id", "decoder_start_token_id"),
    ):
        try:
            found[key] = int(getattr(vocabulary, name))
        except ValueError:  # a trained model's may lack it
            continue
    return found


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

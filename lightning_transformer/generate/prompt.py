"""Texts to rows of token ids that a model can read, and what there is to say about it."""

from __future__ import annotations

import numpy as np

from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.generate.output import Output

MASK = "[MASK]"


def encode(vocabulary: Vocabulary, text: str, name: str, output: Output) -> np.ndarray:
    """Ids (n,) of a text; a remark if the vocabulary lacks some of it."""
    return _known(vocabulary, vocabulary.encode(text).astype(np.int64), name, output)


def encode_masked(vocabulary: Vocabulary, text: str, name: str, output: Output) -> np.ndarray:
    """Ids (n,) of a text in which each [MASK] is the mask token."""
    parts: list[np.ndarray] = []
    for part in text.split(MASK):
        parts += [vocabulary.encode(part).astype(np.int64), np.array([vocabulary.mask_id])]
    return _known(vocabulary, np.concatenate(parts[:-1]), name, output)


def _known(vocabulary: Vocabulary, ids: np.ndarray, name: str, output: Output) -> np.ndarray:
    unknown = int((ids == vocabulary.unk_id).sum())
    if unknown:
        output.remark(f"{name}: {unknown} of {len(ids)} tokens are not in the model's vocabulary")
    return ids


def cut(ids: np.ndarray, longest: int, name: str, output: Output) -> np.ndarray:
    """The first tokens that the model can read, as in training; a remark if some are lost."""
    if len(ids) > longest:
        output.remark(f"{name}: {len(ids)} tokens; the model reads only the first {longest}")
    return ids[:longest]

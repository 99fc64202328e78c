"""A vocabulary of subwords around a tokenizer of the `tokenizers` library."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from lightning_transformer.data.tokenizers.base import N_SPECIAL, Vocabulary
from lightning_transformer.runs.atomic import write_atomically

PIECE = 1 << 16
"""Characters per piece of a long text that is encoded in parallel."""


def pieces(text: str) -> list[str]:
    """Cut a long text before newlines that follow a letter or digit of ASCII.

    There the word patterns of byte-level tokenizers (GPT-2 and its successors) end a word anyway,
    so that the tokens of the pieces are those of the full text.
    """
    cuts, start = [0], 0
    while len(text) - start > PIECE:
        at = text.find("\n", start + PIECE)
        while at != -1 and not (text[at - 1].isascii() and text[at - 1].isalnum()):
            at = text.find("\n", at + 1)
        if at == -1:
            break
        cuts.append(at)
        start = at
    return [text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]


def _nested(node: Any) -> list[dict[str, Any]]:
    """Return a component of a tokenizer.json and all components inside it."""
    if isinstance(node, list):
        return [found for child in node for found in _nested(child)]
    if not isinstance(node, dict):
        return []
    return [node] + [found for child in node.values() for found in _nested(child)]


class SubwordVocabulary(Vocabulary):
    """Ids of a tokenizer of the library, its own special tokens included, then the six of ours.

    Text that spells a special token of the tokenizer (such as "<|endoftext|>") is encoded as
    ordinary text, and the tokenizer's own unknown token becomes `unk_id`.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        super().__init__(max(tokenizer.get_vocab().values()) + 1)
        self.tokenizer = tokenizer
        content = json.loads(tokenizer.to_str())
        model = content["model"]
        unknown = model.get("unk_token")
        self._own_unk = model.get("unk_id") if unknown is None else tokenizer.token_to_id(unknown)
        self._byte_level = any(n.get("type") == "ByteLevel" for n in _nested(content["decoder"]))
        parts = _nested(content["pre_tokenizer"])
        joined = _nested(content["normalizer"]) + parts
        self._may_cut = any(n.get("type") == "ByteLevel" for n in parts) and not any(
            n.get("add_prefix_space") or n.get("type") in ("Prepend", "Metaspace") for n in joined
        )

    @cached_property
    def id_bytes(self) -> np.ndarray:
        lengths = np.zeros(self.n_text + N_SPECIAL, dtype=np.int64)
        tokens = [(i, t) for t, i in self.tokenizer.get_vocab().items() if i != self._own_unk]
        own_special = {
            i for i, added in self.tokenizer.get_added_tokens_decoder().items() if added.special
        }
        tokens = [(i, t) for i, t in tokens if i not in own_special]
        if self._byte_level:
            # Each character of the library's token strings encodes one byte.
            for i, token in tokens:
                lengths[i] = len(token)
            return lengths
        # What the token adds behind another one, for the decoder may strip a leading space.
        anchor = next((i for i, t in tokens if t.isascii() and t.isalpha()), tokens[0][0])
        base = len(self.tokenizer.decode([anchor]).encode())
        texts = self.tokenizer.decode_batch([[anchor, i] for i, _ in tokens])
        for (i, token), text in zip(tokens, texts, strict=True):
            is_byte = len(token) == 6 and token.startswith("<0x") and token.endswith(">")
            lengths[i] = 1 if is_byte else len(text.encode()) - base
        return lengths

    def _ids(self, encoding: tokenizers.Encoding) -> np.ndarray:
        ids = np.array(encoding.ids, dtype=np.int32)
        if self._own_unk is not None:
            ids[ids == self._own_unk] = self.unk_id
        return ids

    def encode(self, text: str) -> np.ndarray:
        parts = pieces(text) if self._may_cut else [text]
        return np.concatenate(self.encode_all(parts))

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        encodings = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [self._ids(encoding) for encoding in encodings]

    def encode_with_starts(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        starts = np.array([start for start, _ in encoding.offsets], dtype=np.int64)
        return self._ids(encoding), starts

    def decode_text(self, ids: np.ndarray) -> str:
        return self.tokenizer.decode(ids.tolist(), skip_special_tokens=False)

    def save(self, path: Path) -> None:
        write_atomically(path, self.tokenizer.to_str(pretty=True))

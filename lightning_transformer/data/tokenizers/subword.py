"""A vocabulary of subwords around a tokenizer of the `tokenizers` library."""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from lightning_transformer.data.pieces import AFTER_A_LINE, BETWEEN_WORDS, cut
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.runs.atomic import write_atomically

GROUP = 1 << 20
"""Characters that are encoded at a time: the library takes 100 bytes of memory for a token."""


def _groups(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in groups of about GROUP characters."""
    group: list[str] = []
    size = 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size >= GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


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
        may_cut = any(n.get("type") == "ByteLevel" for n in parts) and not any(
            n.get("add_prefix_space") or n.get("type") in ("Prepend", "Metaspace") for n in joined
        )
        if may_cut:
            of_gpt2 = len(joined) == 1 and joined[0].get("use_regex", True)
            self.cuts = BETWEEN_WORDS if of_gpt2 else AFTER_A_LINE

    @cached_property
    def id_bytes(self) -> np.ndarray:
        lengths = np.zeros(self.size, dtype=np.int64)
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
        return np.concatenate(self.encode_all(list(cut([text], self.cuts))))

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        found: list[np.ndarray] = []
        for group in _groups(texts):
            # Without offsets, in threads of the library.
            encodings = self.tokenizer.encode_batch_fast(group, add_special_tokens=False)
            found += map(self._ids, encodings)
        return found

    def encode_with_starts(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        starts = np.array([start for start, _ in encoding.offsets], dtype=np.int64)
        return self._ids(encoding), starts

    def decode_text(self, ids: np.ndarray) -> str:
        return self.tokenizer.decode(ids.tolist(), skip_special_tokens=False)

    def token_text(self, number: int) -> str:
        """Return the text of a token; as its file has it where the decoder would strip spaces."""
        if self._byte_level:
            return super().token_text(number)
        return self.tokenizer.id_to_token(number) or ""

    def save(self, path: Path) -> None:
        write_atomically(path, self.tokenizer.to_str(pretty=True))

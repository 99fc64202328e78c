"""A vocabulary of ours as a tokenizer.json of the `tokenizers` library."""

from __future__ import annotations

import json
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.data.tokenizers.characters import CharacterVocabulary
from lightning_transformer.data.tokenizers.pretrained import PretrainedVocabulary
from lightning_transformer.data.tokenizers.subword import SubwordVocabulary

# Behind those of text, in the order of `Vocabulary`.
SPECIAL = ("<|pad|>", "<|begin|>", "<|end|>", "<|mask|>", "<|class|>", "<|unknown|>")
ROLES = ("pad", "bos", "eos", "mask", "cls", "unk")


def tokenizer_of(vocabulary: Vocabulary) -> str:
    """The text of a tokenizer.json with the same ids; ValueError for a kind of a plug-in."""
    if isinstance(vocabulary, PretrainedVocabulary):
        return vocabulary.tokenizer.to_str(pretty=True)
    if isinstance(vocabulary, SubwordVocabulary):
        tokenizer = tokenizers.Tokenizer.from_str(vocabulary.tokenizer.to_str())
    elif isinstance(vocabulary, ByteVocabulary):
        tokenizer = _bytes()
    elif isinstance(vocabulary, CharacterVocabulary):
        known = {c: i for i, c in enumerate(vocabulary.characters)}
        tokenizer = tokenizers.Tokenizer(models.WordLevel(known, unk_token=SPECIAL[-1]))
        each = tokenizers.Regex(r"[\s\S]")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(each, behavior="isolated")
        tokenizer.decoder = decoders.Fuse()
    else:
        raise ValueError(
            f"tokenizer={type(vocabulary).__name__} is in the way: it has no tokenizer.json"
        )
    tokenizer.add_special_tokens(list(SPECIAL))
    ids = [tokenizer.token_to_id(text) for text in SPECIAL]
    if ids != list(range(vocabulary.n_text, vocabulary.size)):
        raise ValueError("tokenizer=file is in the way: the ids of its tokens leave some out")
    return tokenizer.to_str(pretty=True)


def _bytes() -> tokenizers.Tokenizer:
    """Byte-level pairs without any pair: the id of a token is its byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    letters |= {byte: chr(256 + n) for n, byte in enumerate(others)}
    vocabulary = {letter: byte for byte, letter in letters.items()}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def token_names(vocabulary: Vocabulary, tokenizer: str) -> dict[str, Any]:
    """tokenizer_config.json: which token has which role."""
    added = {entry["id"]: entry["content"] for entry in json.loads(tokenizer)["added_tokens"]}
    found: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for role in ROLES:
        try:
            number = getattr(vocabulary, f"{role}_id")
        except ValueError:
            continue
        if number in added:
            found[f"{role}_token"] = added[number]
    return found

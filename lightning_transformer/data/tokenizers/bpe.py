"""Byte-pair encoding over bytes, learned from the training text (Sennrich et al. 2016)."""

import logging
from collections.abc import Iterable
from typing import Any

import tokenizers

from lightning_transformer.data.pieces import BETWEEN_WORDS, cut
from lightning_transformer.data.tokenizers.subword import SubwordVocabulary
from lightning_transformer.nn import checks

log = logging.getLogger(__name__)
OVERHEAD = 50
"""Characters that a short text is counted for besides its own: the memory of the object."""


def spread_evenly(texts: Iterable[str], most: int) -> tuple[list[str], int]:
    """Every n-th text, and n: the least power of two for which they have at most `most` characters.

    Of endless texts no more are in memory. One text stays, whatever its length.
    """
    kept: list[str] = []
    size, step = 0, 1
    for number, text in enumerate(texts):
        if number % step:
            continue
        kept.append(text)
        size += len(text) + OVERHEAD
        while size > most and len(kept) > 1:
            kept, step = kept[::2], 2 * step
            size = sum(len(text) + OVERHEAD for text in kept)
    return kept, step


class BPE:
    """Tokenizer option `bpe`: 256 bytes and the merges that are most frequent in the training text.

    The word pattern is that of GPT-2 (Radford et al. 2019); any text can be encoded and is decoded
    to itself. Small texts may give fewer than vocab_size ids. Of much text, pieces of some 65,000
    characters are learned from that are spread evenly over it: time and memory do not grow with it.

    vocab_size: ids of text, at least 257. min_frequency: how often a pair must occur to be merged.
    learn_from: millions of characters to learn from at most, above 0; of more, half of it or more.
    Raises ValueError for values outside these ranges.
    """

    def __init__(
        self, *, vocab_size: int = 2048, min_frequency: int = 2, learn_from: float = 32.0
    ) -> None:
        checks.at_least("tokenizer.vocab_size", vocab_size, 257, 2048)  # 256 bytes and a merge
        checks.at_least("tokenizer.min_frequency", min_frequency, 1, 2)
        checks.positive("tokenizer.learn_from", learn_from, 32.0)
        self.vocab_size, self.min_frequency = vocab_size, min_frequency
        self.learn_from = learn_from

    def train(self, texts: Iterable[str]) -> SubwordVocabulary:
        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=self.vocab_size,
            min_frequency=self.min_frequency,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        parts = (piece for text in texts for piece in cut([text], BETWEEN_WORDS))
        chosen, step = spread_evenly(parts, int(self.learn_from * 1e6))
        if step > 1:
            log.info(
                "bpe is learned from %.3g million characters, 1 piece of text in %d "
                "(tokenizer.learn_from=%g)",
                sum(map(len, chosen)) / 1e6, step, self.learn_from,
            )  # fmt: skip
        tokenizer.train_from_iterator(chosen, trainer)
        return SubwordVocabulary(tokenizer)

    def identity(self) -> dict[str, Any]:
        return {
            "vocab_size": self.vocab_size,
            "min_frequency": self.min_frequency,
            "learn_from": self.learn_from,
        }

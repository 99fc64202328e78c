"""Byte-pair encoding over bytes, learned from the training text (Sennrich et al. 2016)."""

from collections.abc import Iterable

import tokenizers

from lightning_transformer.data.tokenizers.subword import SubwordVocabulary, pieces
from lightning_transformer.nn import checks


class BPE:
    """Tokenizer option `bpe`: 256 bytes and the merges that are most frequent in the training text.

    The word pattern is that of GPT-2 (Radford et al. 2019); any text can be encoded and is decoded
    to itself. Small texts may give fewer than vocab_size ids.

    vocab_size: ids of text, at least 257. min_frequency: how often a pair must occur to be merged.
    Raises ValueError for values outside these ranges.
    """

    def __init__(self, *, vocab_size: int = 2048, min_frequency: int = 2) -> None:
        checks.at_least("tokenizer.vocab_size", vocab_size, 257, 2048)  # 256 bytes and a merge
        checks.at_least("tokenizer.min_frequency", min_frequency, 1, 2)
        self.vocab_size, self.min_frequency = vocab_size, min_frequency

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
        cut = (piece for text in texts for piece in pieces(text))
        tokenizer.train_from_iterator(cut, trainer)
        return SubwordVocabulary(tokenizer)

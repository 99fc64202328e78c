"""Completing a source that is read both ways by its target, in one row of a decoder."""

from collections.abc import Sequence

import torch

from lightning_transformer.data.examples import Pair
from lightning_transformer.tasks.base import Batch, Collator
from lightning_transformer.tasks.completion import Completion, SourceThenTarget


class PrefixThenTarget(SourceThenTarget):
    """Pairs -> Batch of `SourceThenTarget` whose prefix is the source and the start token."""

    def __call__(self, examples: Sequence[Pair], draws: Sequence[int]) -> Batch:
        batch = super().__call__(examples, draws)
        return batch._replace(prefix=torch.tensor([len(e.source) + 1 for e in examples]))


class PrefixLM(Completion):
    """`Completion` whose source sees itself both ways (Liu et al. 2018; Raffel et al. 2020, T5).

    Query i sees key j if j <= i, or if both are of the source or its start token, as far as the
    pattern lets it; with pattern=full that is all of it. Loss, metrics and max_len are those of
    `Completion`. Of plain text without pairs, task=causal_lm with pattern=prefix reads the first
    tokens so. Output ends at the latest when the row is full.
    """

    reads_prefix = True

    def collator(self, split: str) -> Collator:
        words = self.vocabulary
        return PrefixThenTarget(words.bos_id, words.eos_id, words.pad_id)

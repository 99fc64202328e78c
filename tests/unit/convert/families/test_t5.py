"""preset=t5 against Hugging Face."""

from __future__ import annotations

import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from lightning_transformer.convert.families.t5 import convert
from tests.unit.convert.reference import (
    IDS,
    N_TOKENS,
    SOURCE,
    assert_same,
    ours,
    randomised,
    scores,
)

LATER = ("activation=geglu_tanh", "tie_embeddings=false")


@pytest.mark.parametrize(
    ("tied", "kind", "hidden", "overrides"),
    [(True, "relu", 128, ()), (False, "gated-gelu", 88, LATER)],
    ids=["1.0", "1.1"],
)
def test_equals_hugging_face(
    tied: bool, kind: str, hidden: int, overrides: tuple[str, ...]
) -> None:
    config = T5Config(
        vocab_size=N_TOKENS,
        d_model=32,
        d_kv=8,
        d_ff=hidden,
        num_layers=2,
        num_heads=4,
        relative_attention_max_distance=20,  # less than a row with its source
        relative_attention_num_buckets=8,
        feed_forward_proj=kind,
        tie_word_embeddings=tied,
    )
    theirs = randomised(T5ForConditionalGeneration(config), std=0.2)  # scores are not scaled
    sizes = ("position.n_buckets=8", "position.max_distance=20")
    mine = ours("t5", theirs, convert, *sizes, *overrides)
    padding = torch.arange(SOURCE.shape[1]) >= torch.tensor([[11], [7]])
    logits = theirs(
        input_ids=SOURCE, attention_mask=(~padding).long(), decoder_input_ids=IDS
    ).logits
    assert_same(scores(mine, IDS, source_ids=SOURCE, source_padding=padding), logits)

"""preset=bart against Hugging Face."""

import torch
from transformers import BartConfig, BartForConditionalGeneration

from lightning_transformer.convert.families.bart import convert
from tests.unit.convert.reference import (
    IDS,
    N_TOKENS,
    SEQ_LEN,
    SOURCE,
    assert_same,
    ours,
    randomised,
    scores,
)


def test_equals_hugging_face() -> None:
    config = BartConfig(
        vocab_size=N_TOKENS,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        max_position_embeddings=SEQ_LEN + 1,  # ours has a place for the end of the source
        attn_implementation="eager",
    )
    theirs = randomised(BartForConditionalGeneration(config))
    mine = ours("bart", theirs, convert)
    padding = torch.arange(SOURCE.shape[1]) >= torch.tensor([[11], [7]])
    logits = theirs(
        input_ids=SOURCE, attention_mask=(~padding).long(), decoder_input_ids=IDS
    ).logits
    assert_same(scores(mine, IDS, source_ids=SOURCE, source_padding=padding), logits)

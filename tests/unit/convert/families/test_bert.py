"""preset=bert against Hugging Face."""

import torch
from transformers import BertConfig, BertForMaskedLM

from lightning_transformer.convert.families.bert import convert
from tests.unit.convert.reference import (
    IDS,
    N_TOKENS,
    SEQ_LEN,
    assert_same,
    ours,
    randomised,
    scores,
)


def test_equals_hugging_face() -> None:
    config = BertConfig(
        vocab_size=N_TOKENS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=SEQ_LEN,
        attn_implementation="eager",
    )
    theirs = randomised(BertForMaskedLM(config))
    mine = ours("bert", theirs, convert)
    assert_same(scores(mine, IDS), theirs(IDS).logits)
    padding = torch.arange(SEQ_LEN) >= torch.tensor([[SEQ_LEN], [9]])
    padded = theirs(IDS, attention_mask=(~padding).long()).logits
    assert_same(scores(mine, IDS, padding=padding)[1:, :9], padded[1:, :9])

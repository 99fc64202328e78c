"""preset=roberta against Hugging Face."""

from transformers import RobertaConfig, RobertaForMaskedLM

from lightning_transformer.convert.families.roberta import convert
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
    config = RobertaConfig(
        vocab_size=N_TOKENS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=SEQ_LEN + 2,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        attn_implementation="eager",
    )
    theirs = randomised(RobertaForMaskedLM(config))
    mine = ours("roberta", theirs, convert)
    ids = IDS.clamp(min=3)  # theirs takes 1 for padding
    assert_same(scores(mine, ids), theirs(ids).logits)

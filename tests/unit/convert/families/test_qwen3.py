"""preset=qwen3 against Hugging Face."""

from transformers import Qwen3Config, Qwen3ForCausalLM

from lightning_transformer.convert.families.qwen3 import convert
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
    config = Qwen3Config(
        vocab_size=N_TOKENS,
        hidden_size=32,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=SEQ_LEN,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    theirs = randomised(Qwen3ForCausalLM(config))
    mine = ours("qwen3", theirs, convert, "attention.head_dim=16")
    assert_same(scores(mine, IDS), theirs(IDS).logits)

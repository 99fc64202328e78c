"""preset=gemma2 against Hugging Face."""

from transformers import Gemma2Config, Gemma2ForCausalLM

from lightning_transformer.convert.families.gemma2 import convert
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
    config = Gemma2Config(
        vocab_size=N_TOKENS,
        hidden_size=32,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        query_pre_attn_scalar=24,
        sliding_window=5,
        attn_logit_softcapping=3.0,  # small enough to be felt
        final_logit_softcapping=5.0,
        max_position_embeddings=SEQ_LEN,
        attn_implementation="eager",
    )
    theirs = randomised(Gemma2ForCausalLM(config))
    mine = ours(
        "gemma2",
        theirs,
        convert,
        "attention.head_dim=16",
        f"attention.scale={24**-0.5}",
        "attention.cap=3.0",
        "task.softcap=5.0",
        "pattern.window=5",
    )
    assert_same(scores(mine, IDS), theirs(IDS).logits)

"""preset=olmo2 against Hugging Face."""

from transformers import Olmo2Config, Olmo2ForCausalLM

from lightning_transformer.convert.families.olmo2 import convert
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
    config = Olmo2Config(
        vocab_size=N_TOKENS,
        hidden_size=32,
        intermediate_size=88,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=SEQ_LEN,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        pad_token_id=None,
        attn_implementation="eager",
    )
    theirs = randomised(Olmo2ForCausalLM(config))
    mine = ours("olmo2", theirs, convert)
    assert_same(scores(mine, IDS), theirs(IDS).logits)

"""preset=gpt2 against Hugging Face."""

from transformers import GPT2Config, GPT2LMHeadModel

from lightning_transformer.convert.families.gpt2 import convert
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
    config = GPT2Config(
        vocab_size=N_TOKENS,
        n_positions=SEQ_LEN,
        n_embd=32,
        n_layer=2,
        n_head=4,
        attn_implementation="eager",
    )
    theirs = randomised(GPT2LMHeadModel(config))
    mine = ours("gpt2", theirs, convert)
    assert_same(scores(mine, IDS), theirs(IDS).logits)

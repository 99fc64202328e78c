"""preset=llama3 and preset=mistral against Hugging Face."""

from __future__ import annotations

import pytest
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from lightning_transformer.convert.families.llama import convert
from tests.unit.convert.reference import (
    IDS,
    N_TOKENS,
    SEQ_LEN,
    assert_same,
    ours,
    randomised,
    scores,
)

SIZES = {
    "vocab_size": N_TOKENS,
    "hidden_size": 32,
    "intermediate_size": 112,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": SEQ_LEN,
    "rms_norm_eps": 1e-5,
    "attn_implementation": "eager",
}


def test_llama3_equals_hugging_face() -> None:
    rope = {"rope_type": "default", "rope_theta": 500000.0}
    theirs = randomised(LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=rope)))
    mine = ours("llama3", theirs, convert)
    assert_same(scores(mine, IDS), theirs(IDS).logits)


def test_llama3_without_its_base_differs() -> None:
    theirs = randomised(LlamaForCausalLM(LlamaConfig(**SIZES)))  # base 10000
    mine = ours("llama3", theirs, convert)
    assert float((scores(mine, IDS) - theirs(IDS).logits).abs().max()) > 1e-2


def test_mistral_equals_hugging_face() -> None:
    theirs = randomised(MistralForCausalLM(MistralConfig(**SIZES, sliding_window=5)))
    mine = ours("mistral", theirs, convert, "pattern.window=5")
    assert_same(scores(mine, IDS), theirs(IDS).logits)


def test_a_weight_of_another_model_is_refused() -> None:
    theirs = LlamaForCausalLM(LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True))
    with pytest.raises(ValueError, match=r"mlp\.gate_proj\.bias has no counterpart here"):
        convert(theirs.state_dict(), {})

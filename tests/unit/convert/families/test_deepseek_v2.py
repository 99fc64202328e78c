"""preset=deepseek_v2 against Hugging Face."""

from __future__ import annotations

import pytest
from transformers import DeepseekV2Config, DeepseekV2ForCausalLM

from lightning_transformer.convert.families.deepseek_v2 import convert
from tests.unit.convert.reference import (
    IDS,
    N_TOKENS,
    SEQ_LEN,
    assert_same,
    ours,
    randomised,
    scores,
)


@pytest.mark.parametrize("q_rank", [None, 24], ids=["lite", "with a latent of queries"])
def test_equals_hugging_face(q_rank: int | None) -> None:
    config = DeepseekV2Config(
        vocab_size=N_TOKENS,
        hidden_size=32,
        intermediate_size=96,  # of the first layer: the active experts' together
        moe_intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        n_routed_experts=16,
        num_experts_per_tok=3,
        n_shared_experts=1,
        n_group=1,
        topk_group=1,
        topk_method="greedy",
        routed_scaling_factor=1.5,
        first_k_dense_replace=1,
        q_lora_rank=q_rank,
        kv_lora_rank=12,
        qk_nope_head_dim=16,
        qk_rope_head_dim=8,
        v_head_dim=20,
        max_position_embeddings=SEQ_LEN,
        attn_implementation="eager",
        experts_implementation="eager",
    )
    theirs = randomised(DeepseekV2ForCausalLM(config))
    mine = ours(
        "deepseek_v2",
        theirs,
        convert,
        "attention.head_dim=16",
        "attention.rope_dim=8",
        "attention.value_dim=20",
        "attention.kv_rank=12",
        f"attention.q_rank={'null' if q_rank is None else q_rank}",
        "ffn.scale=1.5",
        "ffn.hidden_mult=1.125",
    )
    assert_same(scores(mine, IDS), theirs(IDS).logits)

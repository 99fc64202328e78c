"""preset=mamba2 against Hugging Face."""

from __future__ import annotations

import pytest
from transformers import Mamba2Config, Mamba2ForCausalLM

from lightning_transformer.convert.families.mamba2 import convert
from tests.unit.convert.reference import IDS, N_TOKENS, assert_same, ours, randomised, scores


@pytest.mark.parametrize("bias", [False, True])
def test_equals_hugging_face(bias: bool) -> None:
    config = Mamba2Config(
        vocab_size=N_TOKENS,
        hidden_size=32,
        num_hidden_layers=2,
        expand=2,
        num_heads=4,
        head_dim=16,
        state_size=8,
        n_groups=2,
        chunk_size=8,
        use_bias=bias,
        tie_word_embeddings=True,
        residual_in_fp32=False,
    )
    theirs = randomised(Mamba2ForCausalLM(config), std=0.2)
    sizes = ("attention.d_state=8", "attention.n_groups=2", "attention.chunk_size=8")
    mine = ours("mamba2", theirs, convert, *sizes, f"attention.bias={str(bias).lower()}")
    assert_same(scores(mine, IDS), theirs(IDS).logits)

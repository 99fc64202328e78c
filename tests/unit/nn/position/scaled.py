"""Frequencies of the variants of rope as the library transformers computes them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn.position.rope import RoPE


def theirs(
    kind: str, head_dim: int, max_len: int, seq_len: int | None = None, **parameters: Any
) -> tuple[Tensor, float]:
    """Radians per token of each pair, and the factor of queries and keys, in float32."""
    rope = pytest.importorskip("transformers.modeling_rope_utils")
    llama = pytest.importorskip("transformers.models.llama.configuration_llama")
    config = llama.LlamaConfig(
        hidden_size=2 * head_dim,
        num_attention_heads=2,
        max_position_embeddings=max_len,
        rope_parameters={"rope_type": kind, "rope_theta": 10000.0, **parameters},
    )
    frequencies, factor = rope.ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"), seq_len)
    return frequencies, factor


def ours(rope: RoPE) -> Tensor:
    """Radians per token of each pair."""
    return rope.frequencies(torch.arange(0, rope.width, 2, dtype=torch.float64))


def sizes(head_dim: int = 64, max_len: int = 8192) -> dict[str, int]:
    """What a stack tells a position encoding."""
    return {"d_model": 2 * head_dim, "n_heads": 2, "head_dim": head_dim, "max_len": max_len}

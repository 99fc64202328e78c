"""OLMo 2 (`Olmo2ForCausalLM`): preset=olmo2. LLaMA's names, norms behind the layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.families.llama import (
    BLOCK,
    LAYER,
    PREFIX,
    SHARED,
    decoder_config,
    decoder_sizes,
)
from lightning_transformer.convert.family import Config, Sizes
from lightning_transformer.convert.names import Rules, renamed

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PREFIX"]

ARCHITECTURE = "Olmo2ForCausalLM"
RULES: Rules = (
    *SHARED,
    (LAYER + "post_attention_layernorm.weight", BLOCK + "attention_residual.norm.weight"),
    (LAYER + "post_feedforward_layernorm.weight", BLOCK + "ffn_residual.norm.weight"),
)


def sizes(keys: Keys) -> Sizes:
    keys.only("hidden_act", "silu", "swish")
    found = decoder_sizes(keys, eps=1e-5)
    return {
        "preset": "olmo2",
        "attention.bias": keys.take("attention_bias", False),
        **found,
        "qk_norm.eps": found["norm.eps"],
    }


def positions(config: Config) -> None:
    return None


def describe(ours: Config) -> dict[str, Any]:
    found = decoder_config(ours)
    del found["head_dim"]  # d_model / n_heads, as it has no other
    return {**found, "attention_bias": ours["attention"]["bias"], "hidden_act": "silu"}


def convert(theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    return renamed(theirs, RULES)


def restore(ours: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    return renamed(ours, RULES, back=True)

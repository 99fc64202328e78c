"""Qwen3 (`Qwen3ForCausalLM`): preset=qwen3. LLaMA's names; queries and keys are normed."""

from __future__ import annotations

from typing import Any

from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.families.llama import (
    PREFIX,
    RULES,
    convert,
    decoder_config,
    decoder_sizes,
    restore,
)
from lightning_transformer.convert.family import Config, Sizes

__all__ = ["PREFIX", "RULES", "convert", "restore"]

ARCHITECTURE = "Qwen3ForCausalLM"


def sizes(keys: Keys) -> Sizes:
    keys.only("hidden_act", "silu", "swish")
    keys.only("use_sliding_window", False)
    keys.without_effect("sliding_window", "max_window_layers")  # without use_sliding_window
    layers = keys.take("layer_types", [])
    if any(layer != "full_attention" for layer in layers):
        raise ValueError(f"{keys.path}: layer_types are read as full_attention alone")
    bias = keys.take("attention_bias", False)
    found = decoder_sizes(keys)
    return {
        "preset": "qwen3",
        "attention.bias": bias,
        **found,
        "qk_norm.eps": found["norm.eps"],
    }


def positions(config: Config) -> None:
    return None


def describe(ours: Config) -> dict[str, Any]:
    return {
        **decoder_config(ours),
        "attention_bias": ours["attention"]["bias"],
        "hidden_act": "silu",
        "use_sliding_window": False,
    }

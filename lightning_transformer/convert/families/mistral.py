"""Mistral (`MistralForCausalLM`): preset=mistral. LLaMA's names, and a window."""

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

ARCHITECTURE = "MistralForCausalLM"


def sizes(keys: Keys) -> Sizes:
    keys.only("hidden_act", "silu", "swish")
    window = keys.take("sliding_window", 4096)
    pattern = {"pattern": "full"} if window is None else {"pattern.window": window}
    return {"preset": "mistral", **decoder_sizes(keys), **pattern}


def positions(config: Config) -> None:
    return None


def describe(ours: Config) -> dict[str, Any]:
    return {
        **decoder_config(ours),
        "hidden_act": "silu",
        "sliding_window": ours["pattern"].get("window"),
    }

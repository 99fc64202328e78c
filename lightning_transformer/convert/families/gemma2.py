"""Gemma 2 (`Gemma2ForCausalLM`): preset=gemma2. LLaMA's names, norms on both sides of layers."""

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

ARCHITECTURE = "Gemma2ForCausalLM"
RULES: Rules = (
    *SHARED,
    (LAYER + "input_layernorm.weight", BLOCK + "attention_residual.norm.weight"),
    (LAYER + "post_attention_layernorm.weight", BLOCK + "attention_residual.norm_out.weight"),
    (LAYER + "pre_feedforward_layernorm.weight", BLOCK + "ffn_residual.norm.weight"),
    (LAYER + "post_feedforward_layernorm.weight", BLOCK + "ffn_residual.norm_out.weight"),
)
LAYERS = ("sliding_attention", "full_attention")


def sizes(keys: Keys) -> Sizes:
    keys.only("hidden_activation", "gelu_pytorch_tanh", None)
    keys.only("hidden_act", "gelu_pytorch_tanh")
    keys.only("use_bidirectional_attention", None, False)
    keys.without_effect("cache_implementation")
    given = keys.take("layer_types", None) or []
    if any(layer != LAYERS[number % 2] for number, layer in enumerate(given)):
        raise ValueError(f"{keys.path}: layer_types are read as {', '.join(LAYERS)} in turn alone")
    found = {
        "preset": "gemma2",
        "attention.bias": keys.take("attention_bias", False),
        "attention.cap": keys.take("attn_logit_softcapping", 50.0),
        "attention.scale": keys.take("query_pre_attn_scalar", 256) ** -0.5,
        "pattern.window": keys.take("sliding_window", 4096),
        "output_layer.softcap": keys.take("final_logit_softcapping", 30.0),
        **decoder_sizes(keys, tied=True),
    }
    if found["attention.cap"] is None:
        raise ValueError(f"{keys.path}: attn_logit_softcapping=null is not read here; only numbers")
    return found


def positions(config: Config) -> None:
    return None


def describe(ours: Config) -> dict[str, Any]:
    scale, config = ours["attention"]["scale"], decoder_config(ours)
    return {
        **config,
        "attention_bias": ours["attention"]["bias"],
        "attn_logit_softcapping": ours["attention"]["cap"],
        "query_pre_attn_scalar": config["head_dim"] if scale is None else exactly(scale**-2),
        "sliding_window": ours["pattern"]["window"],
        "final_logit_softcapping": ours["output_layer"]["softcap"],
        "hidden_activation": "gelu_pytorch_tanh",
    }


def exactly(number: float) -> float:
    """A whole number where rounding alone keeps it from being one."""
    return round(number) if abs(number - round(number)) < 1e-9 * number else number


def convert(theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    return renamed(theirs, RULES)


def restore(ours: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    return renamed(ours, RULES, back=True)

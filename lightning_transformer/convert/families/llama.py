"""LLaMA (`LlamaForCausalLM`): preset=llama3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.family import (
    Config,
    Sizes,
    hidden,
    rotation,
    rotation_back,
    width,
)
from lightning_transformer.convert.names import NOT_USED, Rules, renamed

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "model."
ARCHITECTURE = "LlamaForCausalLM"

LAYER, BLOCK = "model.layers.{i}.", "decoder.blocks.{i}."
SHARED: Rules = (
    ("model.embed_tokens.weight", "embedding.weight"),
    ("model.norm.weight", "decoder.final_norm.weight"),
    ("lm_head.weight", "task.head.weight"),
    (LAYER + "self_attn.{q}_proj.{p}", BLOCK + "attention.{q}.{p}"),
    (LAYER + "self_attn.{q}_norm.weight", BLOCK + "attention.{q}_norm.weight"),
    (LAYER + "self_attn.o_proj.{p}", BLOCK + "attention.out.{p}"),
    (LAYER + "self_attn.rotary_emb.inv_freq", NOT_USED),
    (LAYER + "mlp.gate_proj.weight", BLOCK + "ffn.up.0.weight"),
    (LAYER + "mlp.up_proj.weight", BLOCK + "ffn.up.1.weight"),
    (LAYER + "mlp.down_proj.weight", BLOCK + "ffn.down.weight"),
)
RULES: Rules = (
    *SHARED,
    (LAYER + "input_layernorm.weight", BLOCK + "attention_residual.norm.weight"),
    (LAYER + "post_attention_layernorm.weight", BLOCK + "ffn_residual.norm.weight"),
)


def decoder_sizes(keys: Keys, *, eps: float = 1e-6, tied: bool = False) -> Sizes:
    """What LLaMA and those that were built on it call by the same names."""
    dim, n_heads = keys.take("hidden_size"), keys.take("num_attention_heads")
    keys.without_effect("max_position_embeddings")
    return {
        "tie_embeddings": keys.take("tie_word_embeddings", tied),
        "model.n_layers": keys.take("num_hidden_layers"),
        "model.d_model": dim,
        "norm.eps": keys.take("rms_norm_eps", eps),
        "attention.n_heads": n_heads,
        "attention.n_kv_heads": keys.take("num_key_value_heads", None) or n_heads,
        "attention.head_dim": keys.take("head_dim", None) or dim // n_heads,
        "attention.dropout": keys.take("attention_dropout", 0.0),
        **width(keys.take("intermediate_size"), dim, 2),
        **rotation(keys),
    }


def decoder_config(ours: Config) -> dict[str, Any]:
    """The way back."""
    model, attention = ours["model"], ours["attention"]
    head_dim = attention["head_dim"] or model["d_model"] // attention["n_heads"]
    return {
        "tie_word_embeddings": ours["tie_embeddings"],
        "num_hidden_layers": model["n_layers"],
        "hidden_size": model["d_model"],
        "rms_norm_eps": ours["norm"]["eps"],
        "num_attention_heads": attention["n_heads"],
        "num_key_value_heads": attention["n_kv_heads"],
        "head_dim": head_dim,
        "attention_dropout": attention["dropout"],
        "intermediate_size": hidden(ours, 2),
        "max_position_embeddings": model["max_len"],
        "rope_parameters": rotation_back(ours),
    }


def sizes(keys: Keys) -> Sizes:
    keys.only("mlp_bias", False)
    keys.only("hidden_act", "silu", "swish")
    keys.only("rope_interleaved", False)
    bias = keys.take("attention_bias", False)
    return {"preset": "llama3", "attention.bias": bias, **decoder_sizes(keys)}


def positions(config: Config) -> None:
    return None


def describe(ours: Config) -> dict[str, Any]:
    return {
        **decoder_config(ours),
        "attention_bias": ours["attention"]["bias"],
        "hidden_act": "silu",
        "mlp_bias": False,
    }


def convert(theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    return renamed(theirs, RULES)


def restore(ours: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    return renamed(ours, RULES, back=True)

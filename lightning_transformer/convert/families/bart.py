"""BART (`BartForConditionalGeneration`): preset=bart. Its first position has number 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.family import (
    Config,
    Sizes,
    activation,
    activation_back,
    hidden,
    shifted_back,
    width,
)
from lightning_transformer.convert.names import NOT_USED, Rules, renamed

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "model."
POSITIONS = "max_position_embeddings"
ARCHITECTURE = "BartForConditionalGeneration"
UNUSED = 2
LAYER, BLOCK = "model.{s}.layers.{i}.", "{s}.blocks.{i}."
RULES: Rules = (
    ("model.shared.weight", "embedding.weight"),
    ("model.{s}.embed_tokens.weight", NOT_USED),  # the same again
    ("model.{s}.embed_positions.weight", "{s}.position.table.weight"),
    ("model.{s}.layernorm_embedding.{p}", "{s}.position.norm.{p}"),
    (LAYER + "self_attn.{q}_proj.{p}", BLOCK + "attention.{q}.{p}"),
    (LAYER + "self_attn.out_proj.{p}", BLOCK + "attention.out.{p}"),
    (LAYER + "self_attn_layer_norm.{p}", BLOCK + "attention_residual.norm.{p}"),
    (LAYER + "encoder_attn.{q}_proj.{p}", BLOCK + "cross.{q}.{p}"),
    (LAYER + "encoder_attn.out_proj.{p}", BLOCK + "cross.out.{p}"),
    (LAYER + "encoder_attn_layer_norm.{p}", BLOCK + "cross_residual.norm.{p}"),
    (LAYER + "fc1.{p}", BLOCK + "ffn.up.0.{p}"),
    (LAYER + "fc2.{p}", BLOCK + "ffn.down.{p}"),
    (LAYER + "final_layer_norm.{p}", BLOCK + "ffn_residual.norm.{p}"),
    ("lm_head.weight", "task.head.weight"),
    ("final_logits_bias", "task.head.bias"),
    ("classification_head.dense.{p}", NOT_USED),
    ("classification_head.out_proj.{p}", NOT_USED),
)


def sizes(keys: Keys) -> Sizes:
    for key in ("activation_dropout", "encoder_layerdrop", "decoder_layerdrop"):
        keys.only(key, 0.0, 0)
    keys.only("scale_embedding", False)
    keys.only("is_decoder", False)
    keys.only("add_bias_logits", False)
    keys.only("add_final_layer_norm", False)
    keys.only("normalize_before", False)
    keys.only("normalize_embedding", True)
    keys.without_effect("max_position_embeddings", "num_hidden_layers")
    dim, dropout = keys.take("d_model"), keys.take("dropout", 0.1)
    n_heads, n_wide = keys.take("encoder_attention_heads"), keys.take("encoder_ffn_dim")
    keys.only("decoder_attention_heads", n_heads)
    keys.only("decoder_ffn_dim", n_wide)
    return {
        "preset": "bart",
        "activation": activation(keys, "activation_function", "gelu"),
        "tie_embeddings": keys.take("tie_word_embeddings", True),
        "model.n_encoder_layers": keys.take("encoder_layers"),
        "model.n_decoder_layers": keys.take("decoder_layers"),
        "model.d_model": dim,
        "model.dropout": dropout,
        "residual.dropout": dropout,
        "attention.n_heads": n_heads,
        "attention.dropout": keys.take("attention_dropout", 0.0),
        **width(n_wide, dim, 1),
    }


def positions(config: Config) -> int:
    return int(config["max_position_embeddings"])


def describe(ours: Config) -> dict[str, Any]:
    model, attention, n_wide = ours["model"], ours["attention"], hidden(ours, 1)
    return {
        "activation_function": activation_back(ours),
        "tie_word_embeddings": ours["tie_embeddings"],
        "encoder_layers": model["n_encoder_layers"],
        "decoder_layers": model["n_decoder_layers"],
        "num_hidden_layers": model["n_encoder_layers"],
        "d_model": model["d_model"],
        "dropout": model["dropout"],
        "encoder_attention_heads": attention["n_heads"],
        "decoder_attention_heads": attention["n_heads"],
        "encoder_ffn_dim": n_wide,
        "decoder_ffn_dim": n_wide,
        "attention_dropout": attention["dropout"],
        "max_position_embeddings": model["max_len"],
    }


def convert(theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Without the positions that no token has."""
    rest = {n: w[UNUSED:] if "embed_positions" in n else w for n, w in theirs.items()}
    if "final_logits_bias" in rest:
        rest["final_logits_bias"] = rest["final_logits_bias"].flatten()
    return renamed(rest, RULES)


def restore(ours: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    theirs = renamed(ours, RULES, back=True)
    for stack in ("encoder", "decoder"):
        shifted_back(theirs, f"model.{stack}.embed_positions.weight", UNUSED)
    if "final_logits_bias" in theirs:
        theirs["final_logits_bias"] = theirs["final_logits_bias"][None]
    return theirs

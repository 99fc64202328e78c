"""GPT-2 (`GPT2LMHeadModel`): preset=gpt2. Its matrices are (in, out), queries, keys, values one."""

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
    width,
)
from lightning_transformer.convert.names import NOT_USED, Rules, renamed

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "transformer."
POSITIONS = "n_positions"
ARCHITECTURE = "GPT2LMHeadModel"
LAYER, BLOCK = "transformer.h.{i}.", "decoder.blocks.{i}."
RULES: Rules = (
    ("transformer.wte.weight", "embedding.weight"),
    ("transformer.wpe.weight", "decoder.position.table.weight"),
    ("transformer.ln_f.{p}", "decoder.final_norm.{p}"),
    ("lm_head.weight", "task.head.weight"),
    (LAYER + "ln_1.{p}", BLOCK + "attention_residual.norm.{p}"),
    (LAYER + "ln_2.{p}", BLOCK + "ffn_residual.norm.{p}"),
    (LAYER + "attn.{q}.{p}", BLOCK + "attention.{q}.{p}"),
    (LAYER + "attn.c_proj.{p}", BLOCK + "attention.out.{p}"),
    (LAYER + "attn.bias", NOT_USED),  # masks
    (LAYER + "attn.masked_bias", NOT_USED),
    (LAYER + "mlp.c_fc.{p}", BLOCK + "ffn.up.0.{p}"),
    (LAYER + "mlp.c_proj.{p}", BLOCK + "ffn.down.{p}"),
)


def sizes(keys: Keys) -> Sizes:
    keys.only("scale_attn_weights", True)
    keys.only("scale_attn_by_inverse_layer_idx", False)
    keys.only("add_cross_attention", False)
    keys.without_effect("reorder_and_upcast_attn", "n_ctx", "n_positions")
    keys.without_effect(*(f"summary_{name}" for name in ("activation", "first_dropout", "type")))
    keys.without_effect("summary_proj_to_labels", "summary_use_proj")
    dim = keys.take("n_embd", 768)
    return {
        "preset": "gpt2",
        "activation": activation(keys, "activation_function", "gelu_new"),
        "tie_embeddings": keys.take("tie_word_embeddings", True),
        "model.n_layers": keys.take("n_layer", 12),
        "model.d_model": dim,
        "model.dropout": keys.take("embd_pdrop", 0.1),
        "norm.eps": keys.take("layer_norm_epsilon", 1e-5),
        "attention.n_heads": keys.take("n_head", 12),
        "attention.dropout": keys.take("attn_pdrop", 0.1),
        "residual.dropout": keys.take("resid_pdrop", 0.1),
        **width(keys.take("n_inner", None) or 4 * dim, dim, 1),
    }


def positions(config: Config) -> int:
    return int(config["n_positions"])


def describe(ours: Config) -> dict[str, Any]:
    model, attention = ours["model"], ours["attention"]
    return {
        "activation_function": activation_back(ours),
        "tie_word_embeddings": ours["tie_embeddings"],
        "n_layer": model["n_layers"],
        "n_embd": model["d_model"],
        "n_inner": hidden(ours, 1),
        "n_positions": model["max_len"],
        "n_head": attention["n_heads"],
        "embd_pdrop": model["dropout"],
        "attn_pdrop": attention["dropout"],
        "resid_pdrop": ours["residual"]["dropout"],
        "layer_norm_epsilon": ours["norm"]["eps"],
    }


def convert(theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    parted: dict[str, Tensor] = {}
    for name, weight in theirs.items():
        turned = weight.mT if ".c_" in name and weight.ndim == 2 else weight
        if ".c_attn." in name:
            for letter, part in zip("qkv", turned.chunk(3), strict=True):
                parted[name.replace("c_attn", letter)] = part
        else:
            parted[name] = turned
    return renamed(parted, RULES)


def restore(ours: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    import torch

    parts = renamed(ours, RULES, back=True)
    found: dict[str, Tensor] = {}
    for name, weight in parts.items():
        if ".attn.q." in name:
            three = [parts[name.replace(".q.", f".{letter}.")] for letter in "qkv"]
            name, weight = name.replace(".q.", ".c_attn."), torch.cat(three)
        elif ".attn.k." in name or ".attn.v." in name:
            continue
        found[name] = weight.mT if ".c_" in name and weight.ndim == 2 else weight
    return found

"""Mamba-2 (`Mamba2ForCausalLM`): preset=mamba2. Its first projection is five of ours in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.family import Config, Sizes
from lightning_transformer.convert.names import Rules, renamed

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "backbone."
ARCHITECTURE = "Mamba2ForCausalLM"
LAYER, BLOCK = "backbone.layers.{i}.", "decoder.blocks.{i}."
PARTS = ("z", "u", "b", "c", "dt")
RULES: Rules = (
    ("backbone.embeddings.weight", "embedding.weight"),
    ("backbone.norm_f.weight", "decoder.final_norm.weight"),
    ("lm_head.weight", "task.head.weight"),
    (LAYER + "norm.weight", BLOCK + "attention_residual.norm.weight"),
    (LAYER + "mixer.A_log", BLOCK + "attention.A_log"),
    (LAYER + "mixer.dt_bias", BLOCK + "attention.dt_bias"),
    (LAYER + "mixer.D", BLOCK + "attention.skip"),
    (LAYER + "mixer.norm.weight", BLOCK + "attention.gain"),
    (LAYER + "mixer.conv1d.{p}", BLOCK + "attention.conv.{p}"),
    *((LAYER + f"mixer.{part}.{{p}}", BLOCK + f"attention.{part}.{{p}}") for part in PARTS),
    (LAYER + "mixer.out_proj.{p}", BLOCK + "attention.out.{p}"),
)


def sizes(keys: Keys) -> Sizes:
    keys.only("hidden_act", "silu", "swish")
    keys.only("use_conv_bias", True)
    limit = keys.take("time_step_limit", None)
    if limit is not None and (limit[0] != 0 or _is_finite(limit[1])):
        raise ValueError(f"{keys.path}: time_step_limit={limit} is read as [0, infinity] alone")
    # Of the first weights, or of how sums are rounded.
    keys.without_effect("rescale_prenorm_residual", "residual_in_fp32", "rms_norm")
    keys.without_effect(*(f"time_step_{name}" for name in ("floor", "max", "min", "rank")))
    dim, expand = keys.take("hidden_size"), keys.take("expand", 2)
    n_heads = keys.take("num_heads")
    keys.only("head_dim", expand * dim // n_heads)
    eps = keys.take("layer_norm_epsilon", 1e-5)
    return {
        "preset": "mamba2",
        "tie_embeddings": keys.take("tie_word_embeddings", False),
        "model.n_layers": keys.take("num_hidden_layers"),
        "model.d_model": dim,
        "norm.eps": eps,
        "attention.eps": eps,
        "attention.n_heads": n_heads,
        "attention.expand": expand,
        "attention.d_state": keys.take("state_size", 128),
        "attention.n_groups": keys.take("n_groups", 8),
        "attention.conv_size": keys.take("conv_kernel", 4),
        "attention.chunk_size": keys.take("chunk_size", 256),
        "attention.bias": keys.take("use_bias", False),
    }


def _is_finite(limit: Any) -> bool:
    return isinstance(limit, int | float) and limit != float("inf")


def positions(config: Config) -> None:
    return None


def describe(ours: Config) -> dict[str, Any]:
    model, mixer = ours["model"], ours["attention"]
    return {
        "hidden_act": "silu",
        "tie_word_embeddings": ours["tie_embeddings"],
        "num_hidden_layers": model["n_layers"],
        "hidden_size": model["d_model"],
        "layer_norm_epsilon": ours["norm"]["eps"],
        "num_heads": mixer["n_heads"],
        "head_dim": mixer["expand"] * model["d_model"] // mixer["n_heads"],
        "expand": mixer["expand"],
        "state_size": mixer["d_state"],
        "n_groups": mixer["n_groups"],
        "conv_kernel": mixer["conv_size"],
        "chunk_size": mixer["chunk_size"],
        "use_bias": mixer["bias"],
        "residual_in_fp32": False,
    }


def convert(theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    parted: dict[str, Tensor] = {}
    for name, weight in theirs.items():
        if ".in_proj." in name:
            layer = name.split("mixer.")[0] + "mixer."
            inner = theirs[f"{layer}norm.weight"].shape[0]
            n_heads = theirs[f"{layer}D"].shape[0]
            shared = (weight.shape[0] - 2 * inner - n_heads) // 2
            parts = weight.split((inner, inner, shared, shared, n_heads))
            for letter, part in zip(PARTS, parts, strict=True):
                parted[name.replace("in_proj", letter)] = part
        else:
            parted[name] = weight.squeeze(1) if "conv1d.weight" in name else weight
    return renamed(parted, RULES)


def restore(ours: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    import torch

    parts = renamed(ours, RULES, back=True)
    found: dict[str, Tensor] = {}
    for name, weight in parts.items():
        part = name.split(".")[-2]
        if part == PARTS[0]:
            all_parts = [parts[name.replace(".z.", f".{other}.")] for other in PARTS]
            found[name.replace(".z.", ".in_proj.")] = torch.cat(all_parts)
        elif part not in PARTS:
            found[name] = weight.unsqueeze(1) if "conv1d.weight" in name else weight
    return found

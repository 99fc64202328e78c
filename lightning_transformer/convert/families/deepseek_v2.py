"""DeepSeek-V2 (`DeepseekV2ForCausalLM`): preset=deepseek_v2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.families.llama import BLOCK, LAYER, PREFIX
from lightning_transformer.convert.families.llama import RULES as LLAMA
from lightning_transformer.convert.family import (
    Config,
    Sizes,
    hidden,
    rotation,
    rotation_back,
    width,
)
from lightning_transformer.convert.names import Rules, renamed

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PREFIX"]

ARCHITECTURE = "DeepseekV2ForCausalLM"
RULES: Rules = (
    *(rule for rule in LLAMA if "{q}_proj" not in rule[0]),
    (LAYER + "self_attn.q_b_proj.weight", BLOCK + "attention.q_up.weight"),
    (LAYER + "self_attn.q_a_proj.{p}", BLOCK + "attention.q_down.{p}"),
    (LAYER + "self_attn.q_a_layernorm.weight", BLOCK + "attention.q_norm.weight"),
    (LAYER + "self_attn.kv_a_proj_with_mqa.{p}", BLOCK + "attention.kv_down.{p}"),
    (LAYER + "self_attn.kv_a_layernorm.weight", BLOCK + "attention.kv_norm.weight"),
    (LAYER + "self_attn.kv_b_proj.weight", BLOCK + "attention.kv_up.weight"),
    (LAYER + "mlp.gate.weight", BLOCK + "ffn.router.weight"),
    (LAYER + "mlp.experts.gate_up_proj", BLOCK + "ffn.experts.up"),
    (LAYER + "mlp.experts.down_proj", BLOCK + "ffn.experts.down"),
    (LAYER + "mlp.shared_experts.gate_proj.weight", BLOCK + "ffn.shared.up.0.weight"),
    (LAYER + "mlp.shared_experts.up_proj.weight", BLOCK + "ffn.shared.up.1.weight"),
    (LAYER + "mlp.shared_experts.down_proj.weight", BLOCK + "ffn.shared.down.weight"),
)


def sizes(keys: Keys) -> Sizes:
    keys.only("hidden_act", "silu", "swish")
    keys.only("mlp_bias", False)
    keys.only("norm_topk_prob", False)
    keys.only("topk_method", "greedy", "gready")  # as it was once written
    keys.only("scoring_func", "softmax")
    keys.only("moe_layer_freq", 1)
    keys.only("n_group", None, 1)
    keys.only("topk_group", None, 1)
    keys.without_effect("max_position_embeddings", "head_dim", "qk_head_dim", "ep_size")
    keys.without_effect("output_router_logits", "seq_aux", "aux_loss_alpha")
    dim, expert = keys.take("hidden_size"), keys.take("moe_intermediate_size")
    n_heads, eps = keys.take("num_attention_heads"), keys.take("rms_norm_eps", 1e-6)
    keys.only("num_key_value_heads", n_heads)
    top_k, n_shared = keys.take("num_experts_per_tok"), keys.take("n_shared_experts", None) or 0
    first, wide = keys.take("first_k_dense_replace", 0), keys.take("intermediate_size")
    if first and wide != expert * (top_k + n_shared):
        raise ValueError(
            f"{keys.path}: intermediate_size={wide} has no counterpart here; the first layers are "
            f"as wide as the experts in use, {expert * (top_k + n_shared)}"
        )
    return {
        "preset": "deepseek_v2",
        "tie_embeddings": keys.take("tie_word_embeddings", False),
        "model.n_layers": keys.take("num_hidden_layers"),
        "model.d_model": dim,
        "norm.eps": eps,
        "qk_norm.eps": eps,
        "attention.n_heads": n_heads,
        "attention.bias": keys.take("attention_bias", False),
        "attention.dropout": keys.take("attention_dropout", 0.0),
        "attention.head_dim": keys.take("qk_nope_head_dim", 128),
        "attention.rope_dim": keys.take("qk_rope_head_dim", 64),
        "attention.value_dim": keys.take("v_head_dim", 128),
        "attention.kv_rank": keys.take("kv_lora_rank", 512),
        "attention.q_rank": keys.take("q_lora_rank", None),
        "ffn.n_experts": keys.take("n_routed_experts"),
        "ffn.top_k": top_k,
        "ffn.n_shared": n_shared,
        "ffn.scale": float(keys.take("routed_scaling_factor", 1.0)),
        "ffn.first": first,
        **width(expert, dim, 2),
        **rotation(keys),
    }


def positions(config: Config) -> None:
    return None


def describe(ours: Config) -> dict[str, Any]:
    model, attention, ffn = ours["model"], ours["attention"], ours["ffn"]
    head_dim = attention["head_dim"] or model["d_model"] // attention["n_heads"]
    expert, rope_dim = hidden(ours, 2), attention["rope_dim"] or head_dim // 2
    return {
        "hidden_act": "silu",
        "tie_word_embeddings": ours["tie_embeddings"],
        "num_hidden_layers": model["n_layers"],
        "hidden_size": model["d_model"],
        "rms_norm_eps": ours["norm"]["eps"],
        "num_attention_heads": attention["n_heads"],
        "num_key_value_heads": attention["n_heads"],
        "attention_bias": attention["bias"],
        "attention_dropout": attention["dropout"],
        "head_dim": rope_dim,
        "qk_nope_head_dim": head_dim,
        "qk_rope_head_dim": rope_dim,
        "v_head_dim": attention["value_dim"] or head_dim,
        "kv_lora_rank": attention["kv_rank"] or 4 * head_dim,
        "q_lora_rank": attention["q_rank"],
        "n_routed_experts": ffn["n_experts"],
        "num_experts_per_tok": ffn["top_k"],
        "n_shared_experts": ffn["n_shared"],
        "routed_scaling_factor": ffn["scale"],
        "first_k_dense_replace": ffn["first"],
        "moe_intermediate_size": expert,
        "intermediate_size": expert * (ffn["top_k"] + ffn["n_shared"]),
        "norm_topk_prob": False,
        "topk_method": "greedy",
        "n_group": 1,
        "topk_group": 1,
        "max_position_embeddings": model["max_len"],
        "rope_parameters": rotation_back(ours),
    }


def convert(theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """A q_proj, as the small models have it, is what q_up is here.

    Files hold each expert's matrices by themselves, models in memory hold those of all as one.
    """
    direct = {name.replace(".q_proj.", ".q_b_proj."): weight for name, weight in theirs.items()}
    return renamed(_stacked(direct, config), RULES)


def _stacked(theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    import torch

    found = {name: weight for name, weight in theirs.items() if ".mlp.experts." not in name}
    for name in (name for name in theirs if ".mlp.experts." in name):
        layer, _, rest = name.partition(".mlp.experts.")
        if not rest[0].isdigit():
            found[name] = theirs[name]
        elif rest == "0.gate_proj.weight":
            each = [f"{layer}.mlp.experts.{i}." for i in range(config["n_routed_experts"])]
            up = [
                torch.cat([theirs[f"{e}{part}_proj.weight"] for part in ("gate", "up")])
                for e in each
            ]
            found[f"{layer}.mlp.experts.gate_up_proj"] = torch.stack(up)
            down = torch.stack([theirs[f"{e}down_proj.weight"] for e in each])
            found[f"{layer}.mlp.experts.down_proj"] = down
    return found


def restore(ours: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Each expert by itself, as files have them."""
    found: dict[str, Tensor] = {}
    for name, weight in renamed(ours, RULES, back=True).items():
        if name.endswith("experts.gate_up_proj"):
            for i, both in enumerate(weight):
                expert = name.replace("gate_up_proj", str(i))
                for part, half in zip(("gate", "up"), both.chunk(2), strict=True):
                    found[f"{expert}.{part}_proj.weight"] = half
        elif name.endswith("experts.down_proj"):
            for i, down in enumerate(weight):
                found[f"{name.replace('down_proj', str(i))}.down_proj.weight"] = down
        elif config["q_lora_rank"] is None:
            found[name.replace(".q_b_proj.", ".q_proj.")] = weight
        else:
            found[name] = weight
    return found

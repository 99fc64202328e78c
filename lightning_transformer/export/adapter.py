"""An adapter as the two files of peft, which holds it beside the model that it was trained on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from lightning_transformer.build import load_run
from lightning_transformer.checkpoint.run_files import CONFIG
from lightning_transformer.convert.model_folder import family
from lightning_transformer.convert.names import renamed
from lightning_transformer.export.write import restored
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.adapter.base import ATTRIBUTE
from lightning_transformer.nn.adapter.ia3 import InputFactors
from lightning_transformer.runs.atomic import atomic_path, write_atomically
from lightning_transformer.runs.result import read
from lightning_transformer.runs.untrusted import stored_config

FILES = "adapter_config.json", "adapter_model.safetensors"
PLACE = f".{ATTRIBUTE}."  # in a name: the layer before it, the adapter's own name behind it
READ_FIRST = ("llama",)  # families whose vectors before a row are held against peft by a test
Node = Mapping[str, Any]
Parts = dict[str, dict[str, Tensor]]  # of each adapted layer, by its name there
Files = tuple[dict[str, Any], dict[str, Tensor]]


def write_adapter(run: Path, to: Path, checkpoint: str, name: str, config: Node) -> None:
    """Write the adapter of a run, whose base `convert.describe` has said to be of a family.

    Raises ValueError for what peft's files cannot hold.
    """
    result = read(run)
    if result.fresh:
        raise ValueError(
            f"{run} trained {result.fresh[0]} beside the adapter, which peft's two files have no "
            "place for; export the whole model, without --adapter"
        )
    node = stored_config(run / CONFIG)["adapter"]
    base = str(result.init_from.get("path", ""))
    content, weights = adapter_files(load_run(run, checkpoint), node, name, config, base)
    to.mkdir(parents=True, exist_ok=True)
    with atomic_path(to / FILES[1]) as temporary:
        save_file(weights, temporary, {"format": "pt"})
    write_atomically(to / FILES[0], json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def adapter_files(model: Transformer, node: Node, name: str, config: Node, base: str) -> Files:
    """The content of adapter_config.json, and the tensors of adapter_model.safetensors.

    node: the options of the adapter. name, config: of the family. base: where the model lies that
    it was trained on. Raises ValueError for an adapter or a layer that peft has not.
    """
    option = str(node["_target_"]).rpartition(".")[2]
    if option not in KINDS:
        raise ValueError(
            f"adapter={option} has no form in peft, which has {', '.join(KINDS)}; export the whole "
            "model, without --adapter"
        )
    content, weights = KINDS[option](model, node, name, config)
    kind = "CAUSAL_LM" if model.causal else None
    whole = {
        **content,
        "task_type": "SEQ_2_SEQ_LM" if model.has_source else kind,
        "base_model_name_or_path": base,
        "inference_mode": True,
    }
    return whole, {key: weight.contiguous() for key, weight in weights.items()}


def _low_rank(model: Transformer, node: Node, name: str, config: Node) -> Files:
    parts = _layers(model, name, config)
    own = {"a.weight": "lora_A.weight", "b.weight": "lora_B.weight"}
    own |= {"length": "lora_magnitude_vector"}
    option = str(node["_target_"]).rpartition(".")[2]
    content = {
        "peft_type": "LORA",
        "r": node["rank"],
        "lora_alpha": node["alpha"],
        "lora_dropout": node["dropout"],
        "target_modules": _short(parts, model, name, config),
        "use_rslora": option == "rslora",
        "use_dora": option == "dora",
        "bias": "none",
        "fan_in_fan_out": False,
    }
    return content, {
        f"base_model.model.{layer}.{own[key]}": weight
        for layer, weights in parts.items()
        for key, weight in weights.items()
    }


def _factors(model: Transformer, node: Node, name: str, config: Node) -> Files:
    parts = _layers(model, name, config)
    inner = [
        _their_name(layer.removesuffix(f".{ATTRIBUTE}"), name)
        for layer, module in model.named_modules()
        if isinstance(module, InputFactors)
    ]
    content = {
        "peft_type": "IA3",
        "target_modules": _short(parts, model, name, config),
        "feedforward_modules": _short(dict.fromkeys(inner), model, name, config),
        "fan_in_fan_out": False,
    }
    return content, {
        f"base_model.model.{layer}.ia3_l": factors[None] if layer in inner else factors[:, None]
        for layer, weights in parts.items()
        for factors in weights.values()
    }


def _prompt(model: Transformer, node: Node, name: str, config: Node) -> Files:
    _check_read_first("prompt", name)
    (table,) = _own(model).values()
    blocks: Any = model.get_submodule("decoder.blocks")
    content = _virtual(node, len(blocks), table.shape[1], blocks[0].attention.n_heads)
    return content | {"peft_type": "PROMPT_TUNING", "prompt_tuning_init": "RANDOM"}, {
        "prompt_embeddings": table
    }


def _prefix(model: Transformer, node: Node, name: str, config: Node) -> Files:
    _check_read_first("prefix", name)
    tables = list(_own(model).values())  # of each layer in order, keys before values
    attention: Any = model.get_submodule("decoder.blocks.0.attention")
    content = _virtual(node, len(tables) // 2, tables[0].shape[1], attention.n_kv_heads)
    own: dict[str, Any] = {"peft_type": "PREFIX_TUNING", "prefix_projection": False}
    own["encoder_hidden_size"] = tables[0].shape[1]
    return content | own, {"prompt_embeddings": torch.cat(tables, dim=1)}


KINDS: dict[str, Callable[[Transformer, Node, str, Node], Files]] = {
    **dict.fromkeys(("lora", "rslora", "dora"), _low_rank),
    "ia3": _factors,
    "prompt": _prompt,
    "prefix": _prefix,
}


def _virtual(node: Node, n_layers: int, width: int, n_heads: int) -> dict[str, Any]:
    return {
        "num_virtual_tokens": node["n_tokens"],
        "token_dim": width,
        "num_transformer_submodules": 1,
        "num_attention_heads": n_heads,
        "num_layers": n_layers,
    }


def _check_read_first(option: str, name: str) -> None:
    if name not in READ_FIRST:
        raise ValueError(
            f"adapter={option} is written for {', '.join(READ_FIRST)} alone, and this model is of "
            f"{name}, where it is not tested"
        )


def _own(model: Transformer) -> dict[str, Tensor]:
    """The weights of adapters, by name."""
    return {name: weight for name, weight in model.state_dict().items() if PLACE in name}


def _their_name(layer: str, name: str) -> str:
    """The name that a family has for one of our layers."""
    one = {f"{layer}.weight": torch.empty(0)}
    (found,) = renamed(one, family(name).RULES, back=True)
    return found.removesuffix(".weight")


def _layers(model: Transformer, name: str, config: Node) -> Parts:
    """Adapted layers by their names in a family, each a matrix of its own there; ValueError."""
    base = {n: w for n, w in model.state_dict().items() if PLACE not in n}
    theirs, _ = restored(name, base, config, model.task.vocabulary)
    found: Parts = {}
    for key, weight in _own(model).items():
        layer, _, own = key.partition(PLACE)
        place = _their_name(layer, name)
        there = theirs.get(f"{place}.weight")
        if there is None or not torch.equal(there, base[f"{layer}.weight"]):
            raise ValueError(
                f"{layer} is no matrix of its own in model_type={name}, where peft would look for "
                "it; export the whole model, without --adapter"
            )
        found.setdefault(place, {})[own] = weight
    return found


def _short(layers: Mapping[str, Any], model: Transformer, name: str, config: Node) -> list[str]:
    """The last parts of their names, where no other layer has them; else the whole names."""
    base = {n: w for n, w in model.state_dict().items() if PLACE not in n}
    theirs, _ = restored(name, base, config, model.task.vocabulary)
    last = {layer.rpartition(".")[2] for layer in layers}
    named = {n.removesuffix(".weight") for n in theirs}
    hit = {n for n in named if n.rpartition(".")[2] in last}
    return sorted(last if hit == set(layers) else layers)

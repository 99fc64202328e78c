"""Checks of memory: weights in training, and what a micro-batch keeps for the backward pass.

Only what is needed for certain is counted, so that nothing is refused that could have worked.
"""

import math
import os
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.config.auto_precision import is_wide
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Tokens
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.loss.cross_entropy import CrossEntropy
from lightning_transformer.nn.stack import Stack
from lightning_transformer.optim.trained_set import trained_parameters
from lightning_transformer.tasks.causal_lm import CausalLM
from lightning_transformer.tasks.reference import n_copied
from lightning_transformer.training.preflight.precision import device_kind, resolve_precision

BYTES_PER_WEIGHT = 4  # in float32
BYTES_TRAINED = 8  # gradient and one state of the optimizer: the least
BYTES_PER_COPIED = 4  # of a value of the start, in float32
# Options that make a model large, where they are.
SIZES = ("model", "attention", "ffn")
MAX_SEARCHED = 10_000  # numbers of micro-batches


def check_memory(cfg: DictConfig, model: Transformer | None) -> None:
    """Refuse a model of which not even the weights in training fit; None: too many to count."""
    available = memory(str(cfg.trainer.accelerator))
    if model is not None and _for_weights(cfg, model) <= available:
        return
    needed = "more" if model is None else f"{_for_weights(cfg, model) / 1e9:,.0f} GB"
    key, value = largest(cfg)
    raise ValueError(
        f"{key}={value} makes a model that needs {needed} to be trained, of {available / 1e9:,.0f} "
        f"GB of memory; try a smaller {key}"
    )


def check_activations(
    cfg: DictConfig, model: Transformer, data: DataModule, vocab_size: int = 0
) -> None:
    """Refuse micro-batches whose least traces for the backward pass do not fit beside the weights.

    rows * T * (n_layers * D + V) numbers: what enters each block, and the scores. T is seq_len
    where all rows are full, else 1; V counts where all tokens are predicted, and not on a CPU.
    vocab_size: 0 while it is not known.
    """
    per_row = _bytes_per_row(cfg, model, data, vocab_size)
    ranks = max(1, n_processes(cfg) // _parallel_size(cfg, "tensor"))
    share = max(1, data.batch_size // ranks)
    rows = max(1, share // max(1, int(cfg.trainer.accumulate)))
    available = memory(str(cfg.trainer.accelerator))
    room = available - _for_weights(cfg, model)
    if rows * per_row <= room:
        return
    raise ValueError(
        f"data.batch_size={data.batch_size} keeps at least {rows * per_row / 1e9:,.0f} GB for the "
        f"backward pass with trainer.accumulate={cfg.trainer.accumulate}, of "
        f"{available / 1e9:,.0f} GB of memory; {_way_out(share, room // per_row, ranks)}"
    )


def _bytes_per_row(cfg: DictConfig, model: Transformer, data: DataModule, vocab_size: int) -> int:
    length = data.seq_len if data.example is Tokens else 1
    n_layers = sum(m.n_layers for m in model.modules() if isinstance(m, Stack))
    asked = str(cfg.trainer.precision), str(cfg.trainer.accelerator)
    width = 2 if "16" in resolve_precision(*asked, wide=is_wide(cfg)) else 4
    total = n_layers * int(cfg.model.d_model) * width
    # On a CPU `head_loss` keeps no scores.
    parted = device_kind(str(cfg.trainer.accelerator)) == "cpu"
    if isinstance(model.task, CausalLM) and type(model.task.loss) is CrossEntropy and not parted:
        total += vocab_size * 4  # in float32 at least
    return length * total


def _way_out(share: int, fitting: int, ranks: int) -> str:
    """share: rows of a step on one device. fitting: rows that fit."""
    if fitting < 1:
        return "not even one row fits; use a smaller data.seq_len"
    least = math.ceil(share / fitting)
    for accumulate in range(least, min(share, least + MAX_SEARCHED) + 1):
        if share % accumulate == 0:
            return f"use trainer.accumulate={accumulate}, same result"
    return f"use at most data.batch_size={fitting * ranks}"


def _for_weights(cfg: DictConfig, model: Transformer) -> int:
    """Bytes on one device: of all weights, and of what training adds to those that it changes."""
    n_params = sum(p.numel() for p in model.parameters())
    n_trained = sum(p.numel() for p in trained_parameters(model))
    shards = _parallel_size(cfg, "data") * _parallel_size(cfg, "tensor")
    state = (BYTES_PER_WEIGHT * n_params + BYTES_TRAINED * n_trained) // shards
    return state + BYTES_PER_COPIED * n_copied(model)


def _parallel_size(cfg: DictConfig, kind: str) -> int:
    """Devices over which weights (data) or layers (tensor) are cut; 1 with other strategies."""
    strategy: Any = cfg.trainer.strategy
    size = strategy.get(f"{kind}_parallel_size") if isinstance(strategy, DictConfig) else None
    return size if isinstance(size, int) and size > 0 else 1


def n_processes(cfg: DictConfig) -> int:
    """The processes of a run, over all machines."""
    devices = cfg.trainer.devices
    if not isinstance(devices, int):  # auto
        devices = (
            torch.cuda.device_count() if device_kind(str(cfg.trainer.accelerator)) == "cuda" else 1
        )
    return max(1, devices) * max(1, int(cfg.trainer.num_nodes))


def largest(cfg: DictConfig) -> tuple[str, Any]:
    """The size with the highest value among those that make a model large."""
    found = {}
    for group in SIZES:
        node = OmegaConf.to_container(cfg[group], resolve=True) if group in cfg else {}
        assert isinstance(node, dict)
        for name, value in node.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[f"{group}.{name!s}"] = value
    key = max(found, key=lambda name: found[name])
    return key, found[key]


def memory(accelerator: str) -> int:
    """Bytes of one GPU, or of this machine."""
    if device_kind(accelerator) == "cuda" and torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    if not hasattr(os, "sysconf"):  # Windows
        return 2**50
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

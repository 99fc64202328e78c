"""Refusing, before anything is allocated, what this machine cannot hold or do."""

import os
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig, OmegaConf

from lightning_transformer.data.base import DataModule
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn import checks
from lightning_transformer.nn.position.learned import Learned

BYTES_PER_WEIGHT = 12  # weight, gradient and one state of the optimizer, in float32: the least
MOST_PROCESSES = 65536  # on one machine, and machines
MOST_MINUTES = 10_000_000  # nineteen years
PRECISIONS = ("auto", "32-true", "bf16-mixed", "bf16-true", "16-mixed", "16-true", "64-true")
# Options that make a model large, where they are.
SIZES = ("model", "attention", "ffn")


def check_machine(cfg: DictConfig, model: Transformer, data: DataModule) -> None:
    """Raise ValueError for sizes, workers or a precision that this machine does not have.

    model: built on the meta device.
    """
    for key in ("devices", "num_nodes"):
        count = cfg.trainer[key]
        if isinstance(count, int):
            checks.between(f"trainer.{key}", count, 1, MOST_PROCESSES)
        elif count != "auto":
            raise ValueError(f"trainer.{key}={count} must be a whole number, such as 1, or auto")
    minutes = cfg.trainer.max_minutes
    if minutes is not None and minutes > MOST_MINUTES:
        raise ValueError(f"trainer.max_minutes={minutes} must be at most {MOST_MINUTES}, or null")
    plugins = cfg.trainer.plugins
    if plugins is not None and not isinstance(plugins, ListConfig):
        raise ValueError(f"trainer.plugins={plugins} must be a list, such as [], or null")
    check_memory(cfg, sum(p.numel() for p in model.parameters()))
    limit = max(64, 8 * (os.cpu_count() or 1))
    if data.num_workers > limit:
        raise ValueError(
            f"data.num_workers={data.num_workers} must be at most {limit} here, for example "
            f"{os.cpu_count()}"
        )
    most = int(cfg.model.max_len)
    if data.seq_len > most and any(isinstance(m, Learned) for m in model.modules()):
        raise ValueError(
            f"data.seq_len={data.seq_len} is above model.max_len={most}, all that position=learned "
            "would know; raise model.max_len or use position=rope"
        )
    _check_precision(str(cfg.trainer.precision), str(cfg.trainer.accelerator))


def check_memory(cfg: DictConfig, n_params: int | None) -> None:
    """Refuse a model of which not even the weights in training fit; None: too many to count."""
    devices = cfg.trainer.devices if isinstance(cfg.trainer.devices, int) else 1024
    available = _memory(str(cfg.trainer.accelerator)) * devices * int(cfg.trainer.num_nodes)
    if n_params is not None and BYTES_PER_WEIGHT * n_params <= available:
        return
    needed = "more" if n_params is None else f"{BYTES_PER_WEIGHT * n_params / 1e9:,.0f} GB"
    key, value = largest(cfg)
    raise ValueError(
        f"{key}={value} makes a model that needs {needed} to be trained, of {available / 1e9:,.0f} "
        f"GB of memory; try a smaller {key}"
    )


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


def _memory(accelerator: str) -> int:
    """Bytes of one GPU, or of this machine."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    if not hasattr(os, "sysconf"):  # Windows
        return 2**50
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _check_precision(precision: str, accelerator: str) -> None:
    """Lightning would put another precision in the place of one that the CPU lacks."""
    on_cpu = accelerator == "cpu" or (
        accelerator == "auto" and not torch.cuda.is_available() and not torch.mps.is_available()
    )
    if precision not in PRECISIONS:
        raise ValueError(
            f"trainer.precision={precision} is not known; one of {', '.join(PRECISIONS)}"
        )
    if on_cpu and precision.startswith("16"):
        raise ValueError(
            f"trainer.precision={precision} is not for training on trainer.accelerator=cpu; use "
            "32-true or bf16-mixed"
        )

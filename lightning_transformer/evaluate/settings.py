"""What an evaluation changes of a run's configuration, and what it may not change; no torch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.config.compose import composed, composer, groups, register
from lightning_transformer.config.overrides import parse, values
from lightning_transformer.config.validate import check_node, nearest
from lightning_transformer.errors import ConfigError

SPLITS = ("test", "val", "train")
LIMITS = {"trainer.limit_test_batches": "test", "trainer.limit_val_batches": "val"}
TRAINER = ("trainer.precision", "trainer.accelerator", *LIMITS)
# Of the data module, but part of the trained model, or of training alone.
FIXED = ("data.tokenizer", "data.packing")
OF_TRAINING = {"data.batch_size": "data.eval_batch_size"}
# What other data keep of the run's own.
KEPT = ("seq_len", "eval_batch_size", "num_workers", "packing")
# One process measures; what else the trainer of a run says is about training.
ONE_PROCESS = {
    "devices": 1,
    "num_nodes": 1,
    "strategy": "auto",
    "plugins": None,
    "max_minutes": None,
    "profiler": None,
}
MAY_CHANGE = f"an evaluation may change split, data, data.KEY, {', '.join(TRAINER[:2])}"


@dataclass(frozen=True)
class Setting:
    """What is measured of a run: a split, and overrides of one value each, as typed."""

    split: str = "test"
    overrides: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([f"split={self.split}", *self.overrides])


def settings(typed: Sequence[str]) -> list[Setting]:
    """Every combination of the values that were typed; ConfigError for what may not change."""
    splits: list[str] = ["test"]
    rows: dict[str, list[str]] = {}
    for override in parse(typed):
        key = str(override.key_or_group)
        if override.is_add() or override.is_delete():
            raise ConfigError(f"{override.input_line}: write it without + or ~")
        texts = values(override)
        if not texts or len(set(texts)) < len(texts):
            raise ConfigError(f"{override.input_line}: write each value out once, as {key}=1,2")
        if key in rows or (key == "split" and splits != ["test"]):
            raise ConfigError(f"{key} is given twice; write {key}=a,b once")
        if key == "split":
            splits = [text.split("=", 1)[1] for text in texts]
        else:
            _check_key(key)
            rows[key] = texts
    for split in splits:
        if split not in SPLITS:
            raise ConfigError(f"split={split} must be one of {', '.join(SPLITS)}")
    for key, split in LIMITS.items():
        if key in rows and splits != [split]:
            raise ConfigError(f"{key} limits split={split} alone; leave it out or the other split")
    combined = itertools.product(splits, *rows.values())
    return [Setting(split, tuple(overrides)) for split, *overrides in combined]


def _check_key(key: str) -> None:
    if key in OF_TRAINING:
        raise ConfigError(f"{key} has no effect in an evaluation; use {OF_TRAINING[key]}")
    if key in TRAINER or key == "data":
        return
    if key.startswith("data.") and not key.startswith(FIXED):
        return
    if key.startswith(("trainer.devices", "trainer.num_nodes", "trainer.strategy")):
        raise ConfigError(f"{key}: an evaluation runs on one device; leave it out")
    raise ConfigError(f"{key} is fixed by the run; {MAY_CHANGE}{nearest(key, ['split', 'data'])}")


def changed(stored: DictConfig, setting: Setting) -> DictConfig:
    """The model, data and trainer of a run's configuration with a setting.

    Other data keep the run's seq_len, packing and sizes of batches. Raises ConfigError, in one
    line, for an unknown key or option, and a value of another type.
    """
    content = OmegaConf.to_container(stored, resolve=False)
    assert isinstance(content, dict)
    cfg = OmegaConf.create({str(key): content[key] for key in ("model", "trainer", "data", "seed")})
    overrides = parse(setting.overrides)
    for override in overrides:
        if override.key_or_group == "data":
            cfg.data = _other_data(str(override.value()), cfg.data)
    # Its place is taken by the vocabulary that the run was trained with.
    cfg.data.pop("tokenizer", None)
    for override in overrides:
        if override.key_or_group != "data":
            _set(cfg, override)
    for name, value in ONE_PROCESS.items():
        if name in cfg.trainer:
            cfg.trainer[name] = value
    check_node(cfg.data, "data")
    check_node(cfg.trainer, "trainer")
    return cfg


def _other_data(option: str, own: DictConfig) -> DictConfig:
    """The node of an option of the group data."""
    register()
    with composer() as loader:
        options = groups(loader)["data"]
        if option not in options:
            raise ConfigError(
                f"unknown option data={option}{nearest(option, options)} (choose from "
                f"{', '.join(options)})"
            )
        node = OmegaConf.to_container(composed([f"data={option}"]).data, resolve=True)
    assert isinstance(node, dict)
    return OmegaConf.create(node | {key: own[key] for key in KEPT if key in own and key in node})


def _set(cfg: DictConfig, override: Override) -> None:
    group, _, name = str(override.key_or_group).partition(".")
    node = cfg[group]
    known = [str(key) for key in node if not str(key).startswith("_")]
    if name.partition(".")[0] not in known:  # one without a value yet is not `in` the node
        near = nearest(name, known).replace("mean ", f"mean {group}.")
        raise ConfigError(f"unknown key {group}.{name}{near} ({group} has {', '.join(known)})")
    value: Any = override.value()
    OmegaConf.update(node, name, value, force_add=False)

"""Checks that need the data: labels and targets, a full batch, memory for its vocabulary."""

import torch
from omegaconf import DictConfig

from lightning_transformer.build import build, build_model, refusing
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Labelled, Tagged
from lightning_transformer.data.loading.train_loader import check_batch_size
from lightning_transformer.training.preflight.build import check_build
from lightning_transformer.training.preflight.memory import check_activations, n_processes
from lightning_transformer.training.trainer import TrainerOptions

LOOKED_AT = 1 << 16  # examples of a split, where the first ones have no target


def check_run(cfg: DictConfig, choices: dict[str, str]) -> DataModule:
    """Check a run as its start does, without starting it; return its data, which have been read.

    choices: group to option. Raises ConfigError in one line.
    """
    data = build(cfg, "data")
    assert isinstance(data, DataModule)
    check_build(cfg, data, choices)
    assert isinstance(build(cfg, "trainer"), TrainerOptions)
    with refusing(cfg, "data"):
        data.prepare()
        n_examples = len(data.splits["train"])
        check_labels(data)
        check_batch_size(data.batch_size, n_examples, cfg.trainer.accumulate, n_processes(cfg))
        with torch.device("meta"):
            model = build_model(cfg, vocabulary=data.vocabulary, labels=data.labels or [], seed=0)
        data.plan(-(-int(cfg.trainer.max_steps) // model.task.n_updates))  # batches, not updates
        check_activations(cfg, model, data, data.vocabulary.size)
    return data


def check_labels(data: DataModule) -> None:
    """Refuse classes or tags that are all the same: there is nothing to tell apart; ValueError."""
    if data.example not in (Labelled, Tagged) or len(data.labels) > 1:
        return
    kind = "label" if data.example is Labelled else "tag"
    only = f"is {data.labels[0]!r} in all" if data.labels else "is missing in all"
    raise ValueError(
        f"the {kind} {only} {len(data.splits['train'])} training examples of data={data.name}; "
        f"give data with two different {kind}s or more, or choose their {_where(data)}"
    )


def _where(data: DataModule) -> str:
    keys = [key for key in ("label_key", "tag_column") if hasattr(data, key)]
    return f"place by data.{keys[0]}" if keys else "place in the source"


def check_targets(data: DataModule) -> None:
    """Refuse a split in which the task finds no target: its loss would be nan; ValueError.

    data: connected. The first examples are looked at, all of them if there are no more.
    """
    for split, examples in data.splits.items():
        n_examples = min(len(examples), LOOKED_AT)
        if not data.has_targets(split, n_examples):
            raise ValueError(
                f"none of the first {n_examples:,} examples of data.{split} has a target, so that "
                "its loss would be nan; give other data, or a task that has targets in them, as "
                "task=masked_lm has with task.mask_rate=0.15"
            )

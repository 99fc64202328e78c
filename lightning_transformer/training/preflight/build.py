"""Checks of what a configuration builds, on a model without memory for its weights.

Pairings of model, task and data are here; the model is then checked against the machine.
"""

import torch
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import build_model, refusing
from lightning_transformer.config.validate import nearest
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Pair
from lightning_transformer.data.packing.documents import Documents
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.distributed.parallelize import check_parallel
from lightning_transformer.errors import ConfigError
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.position.learned import Learned
from lightning_transformer.nn.stack import Stack
from lightning_transformer.nn.stack_checks import check_documents
from lightning_transformer.optim.schedule.apply import check_pair
from lightning_transformer.runs.metric_direction import mode_of
from lightning_transformer.runs.trusted_targets import PACKAGE
from lightning_transformer.tasks.base import Task
from lightning_transformer.training.preflight.adapter import check_adapter
from lightning_transformer.training.preflight.machine import check_machine
from lightning_transformer.training.preflight.memory import check_memory
from lightning_transformer.training.preflight.reward import check_reward
from lightning_transformer.training.start.reference import check_reference

# What torch says, even on the meta device, of tensors that have more bytes than can be counted.
TOO_LARGE = ("overflow", "Overflow", "too large", "invalid combination of arguments")


def check_build(cfg: DictConfig, data: DataModule, choices: dict[str, str]) -> None:
    """Refuse, before any data is read, sizes and pairings that cannot work.

    Builds the model without memory for its weights, and its optimizer and schedule.
    """
    try:
        with torch.device("meta"):
            model = build_model(cfg, vocabulary=ByteVocabulary(), labels=["a", "b"], seed=0)
    except (RuntimeError, OverflowError, TypeError) as error:
        if not any(word in str(error) for word in TOO_LARGE):
            raise
        with refusing(cfg, "model"):
            check_memory(cfg, None)
        raise
    check_pairing(model, data, choices)
    check_adapter(cfg, model, choices)
    check_reference(cfg, model)
    check_reward(cfg, model)
    with refusing(cfg, "packing"):
        check_packing(model, data)
    with refusing(cfg, "model"):
        check_machine(cfg, model, data)
    with refusing(cfg, "trainer"):
        degree = OmegaConf.select(cfg, "trainer.strategy.tensor_parallel_size")
        if degree is not None:
            check_parallel(model, int(degree))
    with refusing(cfg, "trainer"):
        check_monitored(cfg, model.task)
    with refusing(cfg, "schedule"):
        model.schedule.validate(int(cfg.trainer.max_steps))
    with refusing(cfg, "optimizer"):
        check_pair(model.new_optimizer(), model.schedule)


def check_monitored(cfg: DictConfig, task: Task) -> None:
    """Refuse to choose by a metric that validation does not give; ValueError in one line."""
    names = [f"val/{name}" for name in task.metric_names()]
    asked = {"trainer.monitor": cfg.trainer.monitor}
    for name, entry in cfg.callbacks.items():
        known = str(entry._target_).startswith((f"{PACKAGE}.", "lightning."))
        if known and entry.get("monitor") is not None:
            asked[f"callbacks.{name}.monitor"] = entry.monitor
    for key, metric in asked.items():
        if metric not in names:
            raise ValueError(
                f"{key}={metric} is no metric of validation{nearest(str(metric), names)} "
                f"(choose from {', '.join(names)})"
            )
    mode_of(cfg.trainer.monitor, cfg.trainer.monitor_mode, "trainer.monitor_mode")


def check_packing(model: Transformer, data: DataModule) -> None:
    """Refuse packed documents for a model whose stacks cannot keep them apart; ValueError."""
    if not isinstance(getattr(data, "packing", None), Documents):
        return
    if model.has_source:
        raise ValueError(
            "packing=documents keeps the documents of a row apart, which a model that reads a "
            "source does not; use packing=stream"
        )
    for module in model.modules():
        if isinstance(module, Stack):
            check_documents(module)


def _without_source(task: Task) -> str:
    kinds = {True: "model=decoder_only", False: "model=encoder_only"}
    return kinds.get(task.causal, "model=decoder_only or encoder_only")  # type: ignore[arg-type]


def check_pairing(model: Transformer, data: DataModule, choices: dict[str, str]) -> None:
    """Raise ConfigError where model, task and data do not fit each other."""
    task, name = model.task, {k: choices.get(k, "?") for k in ("model", "task", "data")}
    if task.needs_source is not None and task.needs_source != model.has_source:
        better = "model=encoder_decoder" if task.needs_source else _without_source(task)
        if task.example is Pair and model.causal:
            better += ", or task=seq2seq" if model.has_source else ", or task=completion"
        what = "a model with a source" if task.needs_source else "a model without a source"
        raise ConfigError(
            f"task={name['task']} needs {what}; model={name['model']} is not. Use {better}."
        )
    if task.causal is not None and task.causal != model.causal:
        kind, better = (
            ("causal", "decoder_only") if task.causal else ("bidirectional", "encoder_only")
        )
        raise ConfigError(
            f"task={name['task']} needs a {kind} model; model={name['model']} is not. "
            f"Use model={better}."
        )
    if data.example not in (task.example, task.made_from):
        raise ConfigError(
            f"task={name['task']} reads {task.example.__name__} examples, but data={name['data']} "
            f"gives {data.example.__name__}; leave data= out, or choose another task"
        )
    for module in model.modules():
        if isinstance(module, Learned) and data.seq_len > module.table.num_embeddings:
            raise ConfigError(
                f"data.seq_len={data.seq_len} is above model.max_len={module.table.num_embeddings},"
                " all that position=learned has; raise model.max_len or use position=rope"
            )

"""What a run needs before its first step."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig
from rich.markup import escape

from lightning_transformer.build import add_adapter, build, build_model, refusing
from lightning_transformer.checkpoint import store
from lightning_transformer.checkpoint.disk_space import check_space
from lightning_transformer.checkpoint.run_files import RunFiles
from lightning_transformer.config.auto_precision import is_wide
from lightning_transformer.config.validate import plain
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.loading.train_loader import check_batch_size
from lightning_transformer.distributed.processes import check_started, is_first
from lightning_transformer.distributed.ranks import n_data_ranks
from lightning_transformer.errors import ConfigError
from lightning_transformer.models.base import Transformer
from lightning_transformer.models.size import measure
from lightning_transformer.models.summary import summary
from lightning_transformer.runs.metric_direction import mode_of
from lightning_transformer.runs.result import RunResult
from lightning_transformer.tasks.reference import n_copied
from lightning_transformer.training import environment
from lightning_transformer.training.callbacks.checkpointing import Checkpointing
from lightning_transformer.training.callbacks.graceful_stop import GracefulStop
from lightning_transformer.training.callbacks.metric_logger import MetricLogger
from lightning_transformer.training.callbacks.progress import Display
from lightning_transformer.training.callbacks.resume_lr import ResumeLR
from lightning_transformer.training.callbacks.resume_options import ResumeOptions
from lightning_transformer.training.callbacks.schedule_free import AveragedWeights
from lightning_transformer.training.explain_errors import explain_reading
from lightning_transformer.training.guard.base import Guard
from lightning_transformer.training.loggers.csv import History
from lightning_transformer.training.loggers.lifecycle import make_loggers
from lightning_transformer.training.messages import data_line, notices, part_lines
from lightning_transformer.training.preflight.build import check_build
from lightning_transformer.training.preflight.compiling import settle_compile
from lightning_transformer.training.preflight.data import check_labels, check_targets
from lightning_transformer.training.preflight.memory import check_activations
from lightning_transformer.training.request import RunRequest
from lightning_transformer.training.resume import check_same_data, check_same_precision
from lightning_transformer.training.start.own_answers import answer_own_questions
from lightning_transformer.training.start.reference import reference_facts
from lightning_transformer.training.starting_weights import begin_with_weights
from lightning_transformer.training.trainer import TrainerOptions


@dataclass(frozen=True)
class RunCallbacks:
    """The callbacks of every run."""

    guard: Guard
    metric_logger: MetricLogger
    stop: GracefulStop
    checkpointing: Checkpointing

    def in_order(self, chosen: list[L.Callback]) -> list[L.Callback]:
        """In the order in which Lightning calls them; chosen: those of the configuration.

        The guard is first, so that nothing is logged of a step that ends the run. `stop` and
        `checkpointing` are last, so that a checkpoint holds what all others did at its step.
        """
        return [
            self.guard,
            self.metric_logger,
            *chosen,
            ResumeLR(),
            ResumeOptions(chosen),
            AveragedWeights(),
            self.stop,
            self.checkpointing,
        ]


@dataclass(frozen=True)
class Session:
    """The parts of a run that is ready for its first step."""

    request: RunRequest
    result: RunResult
    display: Display
    data: DataModule
    model: Transformer
    trainer: L.Trainer
    files: RunFiles
    callbacks: RunCallbacks
    history: History
    loggers: list[Logger]  # of the configuration
    start: store.Checkpoint | None  # to continue from


def prepare(cfg: DictConfig, request: RunRequest, result: RunResult, display: Display) -> Session:
    """Make all parts of a run, and write into the result what is known before the first step.

    Raises ConfigError in one line; see `training.preflight` for what is checked, in this order.
    """
    data = build(cfg, "data")
    assert isinstance(data, DataModule)
    check_build(cfg, data, request.choices)
    files, history = RunFiles(request.folder), History(request.folder)
    callbacks = _callbacks(cfg, files, result, display)
    trainer = _trainer(cfg, request, history, callbacks)
    result.precision = str(trainer.precision)
    result.device = environment.device_name(trainer.strategy.root_device)
    _read_data(cfg, data, trainer, partial(_note, result, request.folder))
    result.data = asdict(data.identity) | ({"cleaning": data.cleaned} if data.cleaned else {})
    with refusing(cfg, "resume"):
        start = _starting_point(files, trainer.max_steps, display) if request.resume else None
        check_same_data(start, data.identity.sha256)
        if str(cfg.trainer.precision) == "auto":
            check_same_precision(start, result.precision)
    if not request.in_sweep:
        display.say(data_line(data))
        for line in data.cleaning_lines():
            display.say(escape(line))
    model = _model(cfg, data, start, request, result, display)
    result.compiled = settle_compile(cfg, trainer, model, start, display.say)
    files.save(plain(cfg), data.vocabulary, data.labels or [])
    with refusing(cfg, "hydra.run.dir"):
        _check_disk(files, result, n_copied(model))
    model.task.learn_splits(data.splits)
    collators = {split: model.task.collator(split) for split in data.splits}
    micro, repeats = trainer.accumulate_grad_batches, model.task.n_updates
    data.connect(collators, seed=cfg.seed, accumulate=micro, repeats=repeats)
    with refusing(cfg, "data"):
        check_targets(data)
        plan = data.plan(-(-trainer.max_steps // repeats))
    for line in [] if request.in_sweep else part_lines(plan):
        display.say(line)
    n_examples = max(64, min(2048, 2**18 // data.seq_len))  # enough to know what is frequent
    model.baseline.learn(model.task, data.spread("train", n_examples))
    if model.baseline.row is not None:
        files.save_guess(model.baseline.row.numpy())  # for evaluations, which do not train
    return Session(
        request=request,
        result=result,
        display=display,
        data=data,
        model=model,
        trainer=trainer,
        files=files,
        callbacks=callbacks,
        history=history,
        loggers=[other for other in trainer.loggers if other is not history],
        start=start,
    )


def _callbacks(
    cfg: DictConfig, files: RunFiles, result: RunResult, display: Display
) -> RunCallbacks:
    mode = mode_of(cfg.trainer.monitor, cfg.trainer.monitor_mode, "trainer.monitor_mode")
    monitor = asdict(store.Monitor(cfg.trainer.monitor, mode))

    def facts() -> dict[str, Any]:
        return {
            store.MONITOR: monitor,
            "config_sha256": result.config_sha256,
            "init_from": result.init_from,
            "fresh": result.fresh,
            "data_sha256": result.data["sha256"],
            "precision": result.precision,
            "compiled": result.compiled,
            "versions": result.versions,
            "commit": result.commit,
        }

    checkpointing = Checkpointing(
        files.checkpoints,
        val_every=cfg.trainer.val_every,
        save_every=cfg.trainer.save_every,
        facts=facts,
    )
    return RunCallbacks(
        guard=build(cfg, "guard", log_every=cfg.trainer.log_every, say=display.say),
        metric_logger=MetricLogger(display, cfg.trainer.log_every),
        stop=GracefulStop(checkpointing, display.say),
        checkpointing=checkpointing,
    )


def _trainer(
    cfg: DictConfig, request: RunRequest, history: History, callbacks: RunCallbacks
) -> L.Trainer:
    loggers: list[Logger] = [history, *make_loggers(cfg, request.folder)]
    in_order = callbacks.in_order(_chosen_callbacks(cfg))
    options = build(cfg, "trainer")
    assert isinstance(options, TrainerOptions)
    with refusing(cfg, "trainer"):
        trainer = options.to_lightning(
            folder=request.folder, logger=loggers, callbacks=in_order, wide=is_wide(cfg)
        )
    check_started(trainer.world_size, 1)  # with trainer.devices=auto it was not known before
    # Lightning takes it from variables that a platform may have left behind.
    rank_zero_only.rank = trainer.global_rank  # type: ignore[attr-defined]
    if request.in_sweep and trainer.strategy.launcher is not None:
        raise ConfigError(
            f"trainer.devices={cfg.trainer.devices} in a sweep: the processes of one job would run "
            "the whole sweep again; start each job by itself, without -m"
        )
    return trainer


def _chosen_callbacks(cfg: DictConfig) -> list[L.Callback]:
    """Those of the configuration; one that averages weights is last, so that all others see it."""
    found = build(cfg, "callbacks")
    for name, callback in found.items():
        if not isinstance(callback, L.Callback):
            raise ConfigError(
                f"callbacks.{name}._target_={cfg.callbacks[name]._target_} is no callback of "
                "Lightning, such as lightning.pytorch.callbacks.LearningRateMonitor"
            )
    return sorted(found.values(), key=lambda callback: isinstance(callback, WeightAveraging))


def _note(result: RunResult, folder: Path, line: str | None) -> None:
    """Write, while the run goes on, what is to be known of it should its process be gone."""
    result.error = line
    if is_first():
        result.write(folder)


def _read_data(
    cfg: DictConfig, data: DataModule, trainer: L.Trainer, note: Callable[[str | None], None]
) -> None:
    with refusing(cfg, "data"), explain_reading(data, note):
        data.prepare()
        check_labels(data)
        n_micro, n_ranks = trainer.accumulate_grad_batches, n_data_ranks(trainer)
        check_batch_size(data.batch_size, len(data.splits["train"]), n_micro, n_ranks)


def _starting_point(files: RunFiles, max_steps: int, display: Display) -> store.Checkpoint | None:
    """The newest undamaged checkpoint; None if the run stopped before it wrote one."""
    start = store.newest(files.checkpoints, display.say)
    if start is None and any(files.checkpoints.glob("step-*")):
        raise ValueError(
            f"no checkpoint in {files.checkpoints} is undamaged; start the run anew elsewhere"
        )
    if start is not None and start.step > max_steps:
        raise ValueError(
            f"trainer.max_steps={max_steps} is below the {start.step} steps that the run has done; "
            f"try {2 * start.step}"
        )
    return start


def _model(
    cfg: DictConfig,
    data: DataModule,
    start: store.Checkpoint | None,
    request: RunRequest,
    result: RunResult,
    display: Display,
) -> Transformer:
    """The model with its initial weights; its size goes into the result and on the display."""
    vocabulary, labels = data.vocabulary, data.labels or []
    read = start is None and cfg.init_from is not None  # which draws what is new
    seeds = {"seed": None if read else cfg.init_seed, "dropout_seed": cfg.seed}
    model = build_model(cfg, vocabulary=vocabulary, labels=labels, **seeds)
    begin_with_weights(cfg, model, start, result, display.say)
    add_adapter(cfg, model, new=result.fresh)
    result.reference = reference_facts(model)
    answer_own_questions(cfg, model, data, request.folder, start, result, display.say)
    with refusing(cfg, "data"):
        check_activations(cfg, model, data, vocabulary.size)
    match = request.choices.get("match", "none")
    for line in notices(cfg, model, build(cfg, "pattern"), match):
        display.say(line)
    size = measure(model, cfg.data.seq_len)
    result.n_params, result.n_params_non_embedding = size.n_params, size.n_params_non_embedding
    result.n_params_active = size.n_params_active
    result.flops_per_token = size.flops_per_token
    result.n_params_frozen, result.n_params_trained = size.n_frozen, size.n_params - size.n_frozen
    chance, measured = model.task.chance().items(), [s for s in data.splits if s != "train"]
    result.chance = {f"{split}/{name}": value for split in measured for name, value in chance}
    floor = [(n, v) for n, v in data.floor().items() if n in model.task.metric_names()]
    result.floor = {f"{split}/{name}": value for split in measured for name, value in floor}
    if not request.in_sweep:
        display.show(summary(model, size, (data.batch_size, data.seq_len)))
    return model


def _check_disk(files: RunFiles, result: RunResult, n_copied: int) -> None:
    """Refuse to start without room for two checkpoints; n_copied: weights of the start in each."""
    n_trained, n_frozen = result.n_params_trained or 0, result.n_params_frozen or 0
    try:
        check_space(files.folder, 4 * (2 * (3 * n_trained + n_copied) + n_frozen))
    except OSError as error:
        raise ValueError(f"{error.filename}: {error.strerror}; choose another folder") from None

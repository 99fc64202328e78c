"""One run: data, model, fit, test from the best checkpoint, and result.json whatever happens."""

import logging
import signal
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from lightning_transformer.build import build, build_model, refusing
from lightning_transformer.checkpoint import store
from lightning_transformer.checkpoint.run_files import RunFiles, read_state
from lightning_transformer.checkpoint.safetensors import write_weights
from lightning_transformer.config.validate import check, plain
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.loading.train_loader import check_batch_size
from lightning_transformer.distributed.rank_zero import is_first
from lightning_transformer.distributed.ranks import n_data_ranks
from lightning_transformer.errors import ConfigError, TrainingError
from lightning_transformer.models.base import Transformer
from lightning_transformer.models.size import measure
from lightning_transformer.models.summary import summary
from lightning_transformer.runs.result import HISTORY_FILE, RunResult, config_sha256, read
from lightning_transformer.training import environment, messages
from lightning_transformer.training.callbacks.checkpointing import Checkpointing
from lightning_transformer.training.callbacks.graceful_stop import (
    GracefulStop,
    Stopped,
    stop_on_signals,
)
from lightning_transformer.training.callbacks.metric_logger import MetricLogger
from lightning_transformer.training.callbacks.progress import Display, make_display
from lightning_transformer.training.callbacks.resume_lr import ResumeLR
from lightning_transformer.training.callbacks.schedule_free import AveragedWeights
from lightning_transformer.training.explain_errors import explain_errors
from lightning_transformer.training.guard.rewind import RewindAsked
from lightning_transformer.training.lightning_warnings import quiet_lightning
from lightning_transformer.training.loggers.csv import History
from lightning_transformer.training.loggers.hparams import log_end, log_start
from lightning_transformer.training.messages import notices
from lightning_transformer.training.preflight.build import check_build
from lightning_transformer.training.preflight.memory import check_activations
from lightning_transformer.training.resume import check_same_data

log = logging.getLogger(__name__)
TRACEBACK_FILE = "traceback.txt"


@dataclass
class RunRequest:
    """Where a run writes, and what the user asked for in words."""

    folder: Path
    choices: dict[str, str] = field(default_factory=dict)  # group -> option
    overrides: list[str] = field(default_factory=list)  # as typed
    chosen: dict[str, str] = field(default_factory=dict)  # the groups among them
    resume: bool = False  # go on from the last checkpoint in the folder
    in_sweep: bool = False  # one of several jobs in this process
    differing: dict[str, str] = field(default_factory=dict)  # what tells it from other runs
    signum: int = 0  # the signal that stopped it, set by run


def run(cfg: DictConfig, job: RunRequest) -> RunResult:
    """Train, test and report one configuration; the result is also in folder/result.json.

    Raises what went wrong, after writing a result with status failed.
    """
    result = RunResult(
        choices=job.choices,
        overrides=job.overrides,
        seed=cfg.seed,
        history=HISTORY_FILE,
        commit=environment.commit(),
        versions=environment.versions(),
        config_sha256=config_sha256(plain(cfg)),
    )
    writes = is_first()
    display = make_display() if writes else Display()
    job.folder.mkdir(parents=True, exist_ok=True)
    before = read(job.folder) if job.resume else None
    if writes:
        result.write(job.folder)
    try:
        with quiet_lightning(), explain_errors(cfg):
            check(cfg, job.chosen)
            _run(cfg, job, result, display)
    except BaseException as error:
        job.signum = _signal_of(error)
        stopped = job.signum > 0
        result.status = "stopped" if stopped else "failed"
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        result.error = None if stopped else said
        (job.folder / TRACEBACK_FILE).write_text(traceback.format_exc(), encoding="utf-8")
        if before is not None and isinstance(error, ConfigError):
            result = before  # refused before anything was done to it
        if not stopped:
            raise
    finally:
        display.stop()
        if writes:
            result.write(job.folder)
    return result


def _signal_of(error: BaseException) -> int:
    """The signal that ended a run at once, or 0 (Lightning answers Ctrl-C by SystemExit)."""
    if KeyboardInterrupt in (type(error), type(error.__context__)):
        return signal.SIGINT
    code = error.code if isinstance(error, SystemExit) else 0
    return code - 128 if isinstance(code, int) and code > 128 else 0


@dataclass
class Session:
    """What a run consists of while it lasts."""

    job: RunRequest
    result: RunResult
    display: Display
    data: DataModule
    model: Transformer
    trainer: L.Trainer
    files: RunFiles
    metric_logger: MetricLogger
    history: History
    checkpointing: Checkpointing
    stop: GracefulStop
    start: store.Checkpoint | None  # to go on from


def _run(cfg: DictConfig, job: RunRequest, result: RunResult, display: Display) -> None:
    environment.reset_peak_memory()
    session = _prepare(cfg, job, result, display)
    trainer, loggers = session.trainer, session.trainer.loggers
    shown = {"n_params": str(result.n_params), **job.differing}
    log_start(loggers, shown, plain(cfg))
    with stop_on_signals(session.stop):
        _fit(session)
        if result.status != "stopped":
            _test(session)
            result.status = "finished"
    log_end(loggers, result)
    result.peak_memory_bytes = environment.peak_memory(trainer.strategy.root_device)
    _log_summary(session)


def _prepare(cfg: DictConfig, job: RunRequest, result: RunResult, display: Display) -> Session:
    """Everything up to the first step, cheap refusals first."""
    data = build(cfg, "data")
    assert isinstance(data, DataModule)
    check_build(cfg, data, job.choices)
    metric_logger, history = MetricLogger(display, cfg.trainer.log_every), History(job.folder)
    files = RunFiles(job.folder)
    checkpointing = Checkpointing(
        files.checkpoints, val_every=cfg.trainer.val_every, save_every=cfg.trainer.save_every
    )
    stop = GracefulStop(checkpointing, display.say)
    guard = build(cfg, "guard", log_every=cfg.trainer.log_every, say=display.say)
    result.guard = guard.counts  # goes on counting
    trainer = _trainer(
        cfg,
        job,
        history,
        [guard, metric_logger, ResumeLR(), AveragedWeights(), stop, checkpointing],
    )
    result.precision = str(trainer.precision)
    result.device = environment.device_name(trainer.strategy.root_device)
    with refusing(cfg, "data"):
        data.prepare()
        share = trainer.accumulate_grad_batches, n_data_ranks(trainer)
        check_batch_size(data.batch_size, len(data.splits["train"]), *share)
    with refusing(cfg, "resume"):
        start = _starting_point(files, trainer.max_steps, display) if job.resume else None
        check_same_data(start, data.identity.sha256)
    result.data = asdict(data.identity)
    checkpointing.facts = {
        "config_sha256": result.config_sha256,
        "data_sha256": data.identity.sha256,
        "versions": result.versions,
        "commit": result.commit,
    }
    if not job.in_sweep:
        display.say(_data_line(data))
    labels = data.labels or []
    model = build_model(cfg, vocabulary=data.vocabulary, labels=labels, seed=cfg.init_seed)
    model.seed = cfg.seed  # of dropout, from here on
    with refusing(cfg, "data"):
        check_activations(cfg, model, data, data.vocabulary.size)
    for line in notices(cfg, model, build(cfg, "pattern")):
        display.say(line)
    size = measure(model, cfg.data.seq_len)
    result.n_params, result.n_params_non_embedding = size.n_params, size.n_params_non_embedding
    result.flops_per_token = size.flops_per_token
    if not job.in_sweep:
        display.show(summary(model, size, (data.batch_size, data.seq_len)))
    files.save(plain(cfg), data.vocabulary, labels)
    with refusing(cfg, "hydra.run.dir"):
        _check_disk(files, result.n_params)
    data.connect(
        {split: model.task.collator(split) for split in data.splits},
        seed=cfg.seed,
        accumulate=trainer.accumulate_grad_batches,
    )
    return Session(
        job,
        result,
        display,
        data,
        model,
        trainer,
        files,
        metric_logger,
        history,
        checkpointing,
        stop,
        start,
    )


def _trainer(
    cfg: DictConfig, job: RunRequest, history: History, own: list[L.Callback]
) -> L.Trainer:
    """The trainer with all loggers and callbacks.

    The guard comes first, so that the meter logs nothing of a run that it ends; stop and saving
    have the last word.
    """
    loggers: list[Logger] = [history, *build(cfg, "logger")(job.folder)]
    callbacks: list[L.Callback] = [*own[:2], *build(cfg, "callbacks").values(), *own[2:]]
    trainer = build(cfg, "trainer", folder=job.folder, logger=loggers, callbacks=callbacks)
    assert isinstance(trainer, L.Trainer)
    if job.in_sweep and trainer.strategy.launcher is not None:
        raise ConfigError(
            f"trainer.devices={cfg.trainer.devices} in a sweep: the processes of one job would run "
            "the whole sweep again; start each job by itself, without -m"
        )
    return trainer


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


def _check_disk(files: RunFiles, n_params: int) -> None:
    """Refuse to start where two checkpoints of weights and two moments would not fit."""
    try:
        store.check_space(files.folder, 2 * 3 * 4 * n_params)
    except OSError as error:
        raise ValueError(f"{error.filename}: {error.strerror}; choose another folder") from None


def _fit(s: Session) -> None:
    if s.job.resume:
        _rollback(s)
    while True:
        path = None if s.start is None else s.start.state
        try:
            s.trainer.fit(s.model, datamodule=s.data, ckpt_path=path, weights_only=True)
        except Stopped as stopped:
            s.result.status, s.job.signum = "stopped", stopped.signum
        except RewindAsked as asked:
            _rewind(s, asked)
            continue
        break
    result, step = s.result, s.trainer.global_step
    tokens = s.metric_logger.tokens_seen
    result.steps, result.tokens_seen = step, tokens
    result.samples_sha256 = s.data.samples_sha256(step)
    result.seconds, result.tokens_per_second = (
        s.metric_logger.seconds,
        tokens / max(s.metric_logger.seconds, 1e-9),
    )
    if result.status != "stopped":
        _final_validation(s)
    result.metrics = _metrics(s.trainer)


def _rollback(s: Session) -> None:
    """Put the run folder into the state in which it was at the step that training goes on from."""
    step = None if s.start is None else s.start.step
    if s.trainer.is_global_zero and s.files.checkpoints.is_dir():
        store.clean(s.files.checkpoints)
        for name in store.set_aside_after(s.files.checkpoints, step):
            s.display.say(f"{name} is kept as {store.QUARANTINE}{name}")
    s.history.truncate(-1 if step is None else step)
    at = "step 0: there is no checkpoint yet" if step is None else f"step {step:,}"
    s.display.say(f"resuming at {at}")
    if s.start is not None:
        validated = "val" not in s.data.splits or bool(s.start.metrics)
        s.checkpointing.due = not validated and s.start.step % s.checkpointing.val_every == 0


def _rewind(s: Session, asked: RewindAsked) -> None:
    """Go back to the newest checkpoint that is early enough, and pass over data from there on."""
    folder = s.files.checkpoints
    if all(found.step > asked.latest for found in store.listed(folder)):
        raise TrainingError(
            f"step {asked.step} is a spike, and no checkpoint is from step {asked.latest} or "
            "before; lower guard.back, or write checkpoints more often with trainer.save_every"
        )
    s.trainer.strategy.barrier()  # all have looked
    if s.trainer.is_global_zero:
        store.set_aside_after(folder, asked.latest)
    s.trainer.strategy.barrier()
    s.start = store.newest(folder, s.display.say)
    assert s.start is not None
    s.data.left_out.leave_out(s.start.step, asked.n_left_out(s.start.step))
    _rollback(s)


def _final_validation(s: Session) -> None:
    """What the last steps give, where training itself has not shown it."""
    if "val" not in s.data.splits:
        s.checkpointing.save(s.trainer, {})  # elsewhere each validation writes it
    elif "val/loss" not in s.trainer.callback_metrics:  # there was no step left to do
        s.trainer.validate(s.model, datamodule=s.data, verbose=False)


def _test(s: Session) -> None:
    if "test" not in s.data.splits:
        log.warning("data.test is empty: no test metrics")
        return
    folder = s.files.checkpoints
    chosen = store.best(folder) or store.last(folder)  # unvalidated, none is best
    assert chosen is not None
    path = chosen.state
    s.trainer.test(s.model, datamodule=s.data, ckpt_path=path, verbose=False, weights_only=True)
    s.result.metrics |= _metrics(s.trainer)
    assert s.model.test_rows is not None
    losses = s.model.test_rows.compute()  # of all ranks
    if s.trainer.is_global_zero:
        s.files.save_document_losses(losses)
        write_weights(s.job.folder, read_state(path)["state_dict"], chosen.step)


def _metrics(trainer: L.Trainer) -> dict[str, float | None]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _data_line(data: DataModule) -> str:
    identity = data.identity
    return (
        f"[bold]{identity.name}[/]  {identity.bytes / 1e6:.2f} MB, {identity.n_tokens:,} training "
        f"tokens, vocabulary of {data.vocabulary.size:,}  [dim]sha256 {identity.sha256[:12]}[/]"
    )


def _log_summary(s: Session) -> None:
    """What was reached, a sample, and what to type next; a sweep's table says it for its jobs."""
    split = messages.log_summary(s.result, s.display.say)
    if s.job.in_sweep:
        return
    if s.result.status == "finished" and s.trainer.world_size == 1:  # shards are of no use here
        example = s.data.spread(split, 1)
        s.display.sample(*s.model.task.demonstrate(s.model.eval(), example)[0])
    messages.next_commands(s.result, s.job.folder, s.display.say)

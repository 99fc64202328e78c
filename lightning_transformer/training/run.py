"""One run: prepare, fit, test from the best checkpoint, and result.json whatever happens."""

import logging
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Timer
from omegaconf import DictConfig
from rich.markup import escape

from lightning_transformer.checkpoint import store
from lightning_transformer.checkpoint.run_files import read_state
from lightning_transformer.checkpoint.safetensors import WEIGHTS, write_weights
from lightning_transformer.config.validate import check, plain
from lightning_transformer.distributed.processes import is_first
from lightning_transformer.errors import ConfigError, Stopped
from lightning_transformer.runs.result import (
    HISTORY_FILE,
    TRACEBACK_FILE,
    RunResult,
    config_sha256,
    read,
)
from lightning_transformer.runs.trusted_targets import foreign_packages
from lightning_transformer.tasks.base import BY_LABEL, CONFUSION, TABLES, value
from lightning_transformer.tasks.metrics.row_losses import with_documents
from lightning_transformer.training import environment, messages
from lightning_transformer.training.callbacks.graceful_stop import stop_on_signals
from lightning_transformer.training.callbacks.progress import Display, make_display
from lightning_transformer.training.debug.reports import report_lines
from lightning_transformer.training.explain_errors import explain_errors
from lightning_transformer.training.guard.rewind import RewindAsked
from lightning_transformer.training.lightning_warnings import quiet_lightning
from lightning_transformer.training.loggers.lifecycle import (
    finished_loggers,
    log_end,
    log_start,
)
from lightning_transformer.training.loggers.tensorboard import TensorBoard
from lightning_transformer.training.request import RunRequest
from lightning_transformer.training.rollback import rewind, roll_back
from lightning_transformer.training.session import Session, prepare
from lightning_transformer.training.strategy import computing
from lightning_transformer.training.tables.confusion import write_by_label, write_confusion
from lightning_transformer.training.tables.shares import write_shares

__all__ = ["RunRequest", "run"]

log = logging.getLogger(__name__)


def run(cfg: DictConfig, request: RunRequest) -> RunResult:
    """Train, test and report one configuration; the result is also in folder/result.json.

    Raises what went wrong, after writing a result with status failed; Stopped, if a signal ended
    the run, after writing one with status stopped.
    """
    config = plain(cfg)
    result = RunResult(
        choices=request.choices,
        overrides=request.overrides,
        seed=cfg.seed,
        history=HISTORY_FILE,
        commit=environment.commit(),
        versions=environment.versions(),
        config_sha256=config_sha256(config),
    )
    display = make_display() if is_first() else Display()
    with (
        quiet_lightning(),
        finished_loggers(result, request.folder) as loggers,
        _recorded(result, request, display),
        explain_errors(cfg),
    ):
        check(cfg, request.chosen)
        environment.reset_peak_memory()
        session = prepare(cfg, request, result, display)
        loggers += session.loggers
        shown = {**request.differing, "n_params": str(result.n_params)}
        log_start(loggers, shown, config, _test_metrics(session))
        try:
            with stop_on_signals(session.callbacks.stop):
                stopped = _fit(session)
                _record_training(session)
                if stopped is None:
                    result.stopped_early = _stopped_early(session)
                    _final_validation(session)
                result.metrics = _metrics(session.trainer)
                if stopped is None:
                    _test(session)
                _write_best_weights(session, stopped)
        finally:
            result.guard = dict(session.callbacks.guard.counts)
        result.baseline = {
            f"{split}/{name}": value
            for split, values in session.model.baseline.values.items()
            for name, value in values.items()
        }
        result.status = "finished" if stopped is None else "stopped"
        log_end(loggers, result)
        result.peak_memory_bytes = environment.peak_memory(session.trainer.strategy.root_device)
        _log_summary(session, config)
        if stopped is not None:
            raise stopped
    return result


@contextmanager
def _recorded(result: RunResult, request: RunRequest, display: Display) -> Iterator[None]:
    """Within, result.json says that the run is going on, and afterwards how it ended."""
    writes = is_first()
    request.folder.mkdir(parents=True, exist_ok=True)
    before = read(request.folder) if request.resume else None
    if writes:
        result.write(request.folder)
    try:
        yield
    except Stopped:
        raise  # a checkpoint was written, and the status is set
    except BaseException as error:
        text = traceback.format_exc()
        (request.folder / TRACEBACK_FILE).write_text(text, encoding="utf-8")
        signum = _signal_of(error)
        if signum:
            result.status = "stopped"
            raise Stopped(signum) from error
        result.status = "failed"
        result.error = f"{type(error).__name__}: {' '.join(str(error).split())}"
        if before is not None and isinstance(error, ConfigError):
            result = before  # refused before anything was done to it
        raise
    finally:
        display.stop()
        if writes:
            if result is not before:  # which has ended then, and was left as it is
                result.ended = datetime.now(timezone.utc).isoformat(timespec="seconds")
            result.write(request.folder)


def _signal_of(error: BaseException) -> int:
    """The signal that ended a run at once, or 0 (Lightning answers Ctrl-C by SystemExit)."""
    if KeyboardInterrupt in (type(error), type(error.__context__)):
        return signal.SIGINT
    code = error.code if isinstance(error, SystemExit) else 0
    return code - 128 if isinstance(code, int) and code > 128 else 0


def _fit(s: Session) -> Stopped | None:
    """Train to the end, back to earlier checkpoints where the guard asks; Stopped at a signal."""
    start = s.start
    if start is None and s.result.init_from and "val" in s.data.splits:
        s.trainer.validate(s.model, datamodule=s.data, verbose=False)  # what it can do already
    if s.request.resume:
        roll_back(s, start)
    while True:
        path = None if start is None else start.state
        try:
            s.trainer.fit(s.model, datamodule=s.data, ckpt_path=path, weights_only=True)
        except Stopped as stopped:
            return stopped
        except RewindAsked as asked:
            start = rewind(s, asked)
            continue
        return None


def _record_training(s: Session) -> None:
    result, meter, step = s.result, s.callbacks.metric_logger, s.trainer.global_step
    result.steps, result.tokens_seen, result.seconds = step, meter.tokens_seen, meter.seconds
    result.tokens_per_second = meter.tokens_seen / max(meter.seconds, 1e-9)
    result.samples_sha256 = s.data.samples_sha256(step)
    if parts := s.data.seen(-(-step // s.model.task.n_updates)):
        result.data["parts"] = parts
    result.tokens_generated = s.model.task.tokens_generated(s.model)
    result.last_train_loss = s.model.train_loss.last()  # of the last micro-batch of this rank


def _stopped_early(s: Session) -> str | None:
    """Why training ended before its last step; None where it did not."""
    if s.trainer.global_step >= s.trainer.max_steps:
        return None
    callbacks: list[L.Callback] = s.trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if reason := getattr(callback, "stopping_reason_message", None):  # as EarlyStopping has
            return str(reason)
        if isinstance(callback, Timer) and (callback.time_remaining() or 0) <= 0:
            return "trainer.max_minutes are over"
    return "a callback asked for it"


def _final_validation(s: Session) -> None:
    """Validate the last step, or keep it, where training itself has not."""
    if "val" not in s.data.splits:
        s.callbacks.checkpointing.save(s.trainer, {})  # elsewhere each validation writes it
    elif "val/loss" not in s.trainer.callback_metrics:  # there was no step left to do
        s.trainer.validate(s.model, datamodule=s.data, verbose=False)


def _test_metrics(s: Session) -> list[str]:
    """The names of what the test will give."""
    names = s.model.task.metric_names() if "test" in s.data.splits else []
    return [f"test/{name}" for name in names]


def _test(s: Session) -> None:
    if "test" not in s.data.splits:
        log.warning("data.test is empty: no test metrics")
        return
    best = _best(s)
    assert best is not None
    path = best.state
    s.trainer.test(s.model, datamodule=s.data, ckpt_path=path, verbose=False, weights_only=True)
    s.result.metrics |= _metrics(s.trainer)
    s.result.signatures = {f"test/{k}": v for k, v in s.model.task.signatures().items()}
    assert s.model.test_rows is not None
    losses = s.model.test_rows.compute()  # of all ranks
    s.result.test_targets = int(losses["count"].sum())
    for name, loss in s.data.losses_by_part("test", losses).items():
        s.result.metrics[f"test/{name}/loss"] = loss
    if s.trainer.is_global_zero:
        documents = getattr(s.data.splits["test"], "documents", None)  # a plug-in may not tell
        s.files.save_document_losses(with_documents(losses, documents))
    _write_tables(s)


def _write_tables(s: Session) -> None:
    """Leave what a test measures and is no single number in the run folder, and with loggers."""
    found = s.model.evaluation
    counts = {name: value(found, name).cpu().numpy() for name in TABLES if name in found}
    if not s.trainer.is_global_zero:  # whose counts are those of all
        return
    pictures: dict[str, bytes] = {}
    for name, table in counts.items():
        if name == CONFUSION:
            pictures[name] = write_confusion(s.request.folder, table, s.model.task.labels)
        elif name == BY_LABEL:
            write_by_label(s.request.folder, table, s.model.task.labels)
        else:
            floor = s.result.floor.get("test/accuracy")
            pictures[name] = write_shares(s.request.folder, name, table, floor)
    for logger in s.loggers:
        if isinstance(logger, TensorBoard):
            for name, picture in pictures.items():
                logger.show_picture(f"test/{name}", picture, s.trainer.global_step)


def _best(s: Session) -> store.Checkpoint | None:
    folder = s.files.checkpoints
    return store.best(folder) or store.last(folder)  # unvalidated, none is best


def _write_best_weights(s: Session, stopped: Stopped | None) -> None:
    """For other programs. A stopped run has its checkpoint: it does not fail where this does."""
    if not s.trainer.is_global_zero:
        return
    try:
        if (best := _best(s)) is not None:
            write_weights(s.request.folder, read_state(best.state)["state_dict"], best.step)
    except (OSError, ValueError) as error:
        if stopped is None:
            raise
        log.warning("%s was not written: %s", WEIGHTS, error)


def _metrics(trainer: L.Trainer) -> dict[str, float | None]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _log_summary(s: Session, config: dict[str, Any]) -> None:
    """Print what was reached, a sample, and the next commands; a sweep's table does it for jobs."""
    split = messages.log_summary(s.result, s.display.say)
    if s.request.in_sweep:
        return
    for line in messages.part_lines(s.result.data.get("parts", {})):
        s.display.say(line)
    for line in report_lines(s.request.folder):
        s.display.say(escape(line))
    if s.result.status == "finished" and s.trainer.world_size == 1:  # shards are of no use here
        example = s.data.spread(split, 1)
        with computing(s.trainer):
            sample = s.model.task.demonstrate(s.model.eval(), example)[0]
        s.display.sample(*sample)
    packages = foreign_packages(config)
    messages.next_commands(s.result, s.request, packages, s.display.say)

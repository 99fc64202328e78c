"""The loggers of a run from the configuration to the end, however that comes."""

import copy
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf, open_dict

from lightning_transformer.build import build
from lightning_transformer.checkpoint.run_files import CONFIG
from lightning_transformer.config.signatures import UnknownTarget, signature
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.naming import override_key
from lightning_transformer.runs.result import (
    HISTORY_FILE,
    RESULT_FILE,
    TRACEBACK_FILE,
    RunResult,
)
from lightning_transformer.training.callbacks.sample_writer import SAMPLES_FILE
from lightning_transformer.training.debug.profiler import PROFILES
from lightning_transformer.training.loggers.base import RunLogger, final_row
from lightning_transformer.training.loggers.tensorboard import TensorBoard

# Files of the run folder that loggers keep copies of, where they are there.
KEPT = (CONFIG, RESULT_FILE, HISTORY_FILE, SAMPLES_FILE, TRACEBACK_FILE, PROFILES)

log = logging.getLogger(__name__)


def make_loggers(cfg: DictConfig, folder: Path) -> list[Logger]:
    """The loggers of the configuration; one that takes a save_dir and has none gets the run folder.

    Raises ConfigError for what is no logger of Lightning.
    """
    placed = copy.deepcopy(cfg)
    with open_dict(placed):
        for entry in placed.logger.values():
            if "save_dir" not in entry and _takes_save_dir(entry):
                entry.save_dir = str(folder)
    found = build(placed, "logger")
    for name, logger in found.items():
        if not isinstance(logger, Logger):
            raise ConfigError(
                f"logger.{name}._target_={cfg.logger[name]._target_} is no logger of Lightning, "
                "such as lightning.pytorch.loggers.CSVLogger"
            )
    return list(found.values())


def _takes_save_dir(entry: DictConfig) -> bool:
    try:
        return "save_dir" in signature(str(entry._target_)).parameters
    except UnknownTarget:
        return False


def log_start(
    loggers: Sequence[Logger],
    shown: Mapping[str, str],
    config: Mapping[str, Any],
    metrics: Sequence[str] = (),
) -> None:
    """Tell each logger what tells this run from others, and show the whole configuration.

    TensorBoard shows the first five columns, so `shown` should begin with what is compared. It
    must know the columns of its final row beforehand: metrics are those that the run will have.
    """
    columns = dict.fromkeys(final_row(metrics).values(), float("nan"))
    known = {override_key(key): _number(value) for key, value in shown.items()}
    readers = [logger for logger in loggers if isinstance(logger, RunLogger)]
    text = "\n".join(f"    {line}" for line in _yaml(config).splitlines()) if readers else ""
    for logger in loggers:
        if isinstance(logger, TensorBoard):
            logger.log_hyperparams(dict(known), columns)
        else:
            logger.log_hyperparams(dict(known))
    for reader in readers:
        reader.show_text("config", text, 0)


def log_end(loggers: Sequence[Logger], result: RunResult) -> None:
    """Give each logger the final row: what the run has reached."""
    values = result.metrics | {"perf/tokens_per_s": result.tokens_per_second}
    row = final_row(result.metrics).items()
    found = {tag: float(v) for name, tag in row if (v := values.get(name)) is not None}
    for logger in loggers:
        logger.log_metrics(found, result.steps)


@contextmanager
def finished_loggers(result: RunResult, folder: Path) -> Iterator[list[Logger]]:
    """Yield a list; afterwards, whatever happened, the loggers in it get the files and are closed.

    Also a run of W&B that one of them, or a callback, has opened for the whole process: the next
    job of a sweep would log into it. What goes wrong in this is reported and no more, because the
    run itself is over and recorded.
    """
    loggers: list[Logger] = []
    before = _wandb_run()
    try:
        yield loggers
    finally:
        files = [path for name in KEPT for path in sorted(folder.glob(name))]
        for logger in loggers:
            with _reporting(type(logger).__name__):
                if isinstance(logger, RunLogger):
                    logger.finish(result.status, files)
                else:
                    logger.finalize("success" if result.status == "finished" else "failed")
        opened = _wandb_run()
        if opened is not None and opened is not before:
            with _reporting("W&B"):
                opened.finish(exit_code=0 if result.status == "finished" else 1)


def _wandb_run() -> Any:
    """The run of W&B that is open for the whole process, without importing W&B."""
    return getattr(sys.modules.get("wandb"), "run", None)


@contextmanager
def _reporting(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        log.warning(f"{name} could not be closed: {' '.join(str(error).split())}")


def _number(value: str) -> int | float | str:
    """A value as typed, as a number where it is one: trackers sort by it."""
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _yaml(config: Mapping[str, Any]) -> str:
    return OmegaConf.to_yaml(OmegaConf.create(dict(config)))

"""One job of the command line: take its folder; then skip, resume or start its run."""

import os
import shutil
import sys
import traceback
from enum import Enum
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write

from lightning_transformer.checkpoint.store import FOLDER
from lightning_transformer.cli.console import show_log
from lightning_transformer.cli.exits import exit_code, refuse
from lightning_transformer.cli.hide_secrets import write_hydra_files
from lightning_transformer.cli.launched_jobs import JobFailure, one_line
from lightning_transformer.config.job_names import shared_keys
from lightning_transformer.config.validate import plain
from lightning_transformer.distributed.processes import (
    check_folder_is_shared,
    check_started,
    is_first,
)
from lightning_transformer.errors import ConfigError, Stopped
from lightning_transformer.hardware.allocator import keep_freed_memory
from lightning_transformer.runs.claim import claim, claim_job, claim_new
from lightning_transformer.runs.lock import InUse, RunLock
from lightning_transformer.runs.result import (
    RESULT_FILE,
    TRACEBACK_FILE,
    RunResult,
    config_sha256,
    read,
)
from lightning_transformer.training.resume import AUTO, check_same, saved_config


class Action(Enum):
    """What to do with the folder of a job."""

    START = "start"
    START_ANEW = "set what is there aside, then start"
    RESUME = "resume"
    SKIP = "skip"


def run_job(cfg: DictConfig) -> float | JobFailure | None:
    """One job: skip, resume or start its run. Returns the validation loss.

    Jobs of a sweep may be called in processes of their own.
    """
    show_log()
    info = HydraConfig.get()
    in_sweep = info.mode == RunMode.MULTIRUN
    lock, folder = None, Path(info.runtime.output_dir)
    _check_processes(cfg, info)
    try:
        if is_first():
            lock = _claim(folder, cfg, info)
            folder = lock.folder
            _move_to(folder, info)
        if in_sweep:
            print(f"\n{folder.name}", flush=True)
        action = decide(folder, cfg, in_sweep=in_sweep)
        if action is Action.SKIP:
            print("finished before, skipped", flush=True)
            return read(folder).metrics.get("val/loss")
        if action is Action.START_ANEW:
            set_aside(folder)
        if lock is not None:
            write_hydra_files(folder, cfg, info)
        result = _train(cfg, info, resume=action is Action.RESUME)
        return result.metrics.get("val/loss")
    except (KeyboardInterrupt, Stopped) as error:
        sys.exit(exit_code(error))
    except InUse as error:
        if not in_sweep:
            refuse(error)
        print(f"\n{folder.name}\nskipped: {error}", flush=True)
        return None
    except Exception as error:
        if not in_sweep:
            refuse(error, folder)
        return _record_failed_job(folder, error)
    finally:
        if lock is not None:
            lock.release()


def _check_processes(cfg: DictConfig, info: Any) -> None:
    """Refuse processes that the trainer does not know of, in one line of the first of them."""
    try:
        check_started(cfg.trainer.devices, cfg.trainer.num_nodes)
        check_folder_is_shared(typed=_is_typed(info))
    except ConfigError as error:
        if not is_first():
            sys.exit(exit_code(error))
        refuse(error)


def _is_typed(info: Any) -> bool:
    """Whether the folder of a run was typed, as resume= does it too."""
    return any(override.startswith("hydra.run.dir=") for override in info.overrides.hydra)


def _claim(folder: Path, cfg: DictConfig, info: Any) -> RunLock:
    """Take the folder of a job, or one beside it where that is another run's and not asked for."""
    digest = config_sha256(plain(cfg))
    if info.mode == RunMode.MULTIRUN:
        return claim_job(folder, digest)
    return claim(folder, digest) if _is_typed(info) else claim_new(folder, digest)


def _move_to(folder: Path, info: Any) -> None:
    """Let Hydra, and the processes that Lightning starts by it, know of the folder that was taken.

    In it, if Hydra has gone into the one that it had named (hydra.job.chdir).
    """
    if folder == Path(info.runtime.output_dir):
        return
    if info.job.chdir:
        os.chdir(folder)
    with read_write(info), open_dict(info):
        info.runtime.output_dir = str(folder)
        info.run.dir = str(folder)


def decide(folder: Path, cfg: DictConfig, *, in_sweep: bool) -> Action:
    """What to do in a folder that may hold a run already, and that no other process writes into.

    A job of a sweep is skipped if it has finished, started anew if it failed, else resumed. A run
    by itself is resumed only if asked to. Raises ConfigError where it holds another run.
    """
    ran_before = (folder / RESULT_FILE).exists()
    if in_sweep:
        if not ran_before:
            return Action.START
        actions = {"finished": Action.SKIP, "failed": Action.START_ANEW}
        return actions.get(read(folder).status, Action.RESUME)
    if cfg.resume not in (None, AUTO):  # auto stays only where there is no checkpoint
        check_same(saved_config(folder), plain(cfg))
        return Action.RESUME
    if not ran_before or not is_first():
        return Action.START
    began = (folder / FOLDER).exists() or read(folder).status != "failed"
    if began and cfg.resume != AUTO:
        raise ConfigError(
            f"{folder} holds a run already: go on with resume={folder}, or choose another "
            "hydra.run.dir"
        )
    return Action.START_ANEW  # refused, or failed before its first checkpoint


def _train(cfg: DictConfig, info: Any, *, resume: bool) -> RunResult:
    limit_spinning()
    keep_freed_memory()
    # Not at the top: torch takes seconds to import, and what is refused does not need it.
    from lightning_transformer.tasks import light_torchmetrics  # noqa: F401
    from lightning_transformer.training.request import RunRequest
    from lightning_transformer.training.run import run

    request = RunRequest.of(
        Path(info.runtime.output_dir),
        list(info.overrides.task),
        info.runtime.choices,
        resume=resume,
        in_sweep=info.mode == RunMode.MULTIRUN,
        shared=shared_keys(info),
        config_dirs=[p.removeprefix("file://") for p in info.searchpath if p.startswith("file://")],
        started_in=Path(info.runtime.cwd),
    )
    return run(cfg, request)


def limit_spinning() -> None:
    """Let idle OpenMP threads spin for a few microseconds before they sleep; call before torch.

    Spinning long, the default, makes torch several times slower beside one more busy program; not
    spinning at all makes it slower on an idle machine. A policy of the user's own is kept.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def _record_failed_job(folder: Path, error: Exception) -> JobFailure:
    """Print the error, keep its traceback in the job's folder, and let the sweep go on."""
    print(f"failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    if not (folder / TRACEBACK_FILE).exists():
        (folder / TRACEBACK_FILE).write_text(traceback.format_exc(), encoding="utf-8")
    return JobFailure(folder.name, one_line(error))


def set_aside(folder: Path) -> None:
    """Move what a failed attempt left into a folder of its own, so that nothing of it is mixed in.

    Its event files go: their numbers are in metrics.csv, and TensorBoard would show them as a run.
    """
    number = 1 + sum(1 for _ in folder.glob("failed-*"))
    aside = folder / f"failed-{number}"
    aside.mkdir()
    for path in list(folder.iterdir()):
        if "tfevents" in path.name or path.name == RESULT_FILE:
            path.unlink()
        elif not path.name.startswith((".", "failed-")):  # the lock is this process's
            shutil.move(path, aside / path.name)

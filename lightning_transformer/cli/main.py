"""The command line: compose, check, say what is wrong in one line, then train.

torch is imported only after a configuration has passed every check that does not need it.
"""

import argparse
import logging
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from lightning_transformer import __version__
from lightning_transformer.checkpoint.store import FOLDER
from lightning_transformer.config.compose import (
    check_match,
    composer,
    groups,
    name_folders,
    parse,
    preflight,
    register,
    swept_keys,
)
from lightning_transformer.config.help import help_page
from lightning_transformer.config.overrides import in_one_run
from lightning_transformer.config.validate import plain
from lightning_transformer.distributed.rank_zero import is_first
from lightning_transformer.errors import ConfigError, Stopped, TrainingError
from lightning_transformer.paths import CONF
from lightning_transformer.runs.naming import check_place
from lightning_transformer.runs.result import RESULT_FILE, TRACEBACK_FILE, RunResult, read
from lightning_transformer.training.resume import (
    AUTO,
    check_same,
    quoted,
    resumed_arguments,
    saved_config,
)

# Hydra's own flags that only print something.
PASSED_ON = ("--hydra-help", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")


def main() -> None:
    """Entry point of `python -m lightning_transformer` and of the console script."""
    arguments = sys.argv[1:]
    flags, overrides = _split(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("lightning_transformer").setLevel(logging.INFO)
    register()
    for folder in flags.config_dir:
        if not os.path.isdir(folder):
            _refuse(ConfigError(f"--config-dir={folder} is not a folder; name one that exists"))
    if flags.help:
        with composer(flags.config_dir) as loader:
            print(help_page(groups(loader)))
        return
    if flags.version:
        print(__version__)
        return
    swept: list[str] = []
    if not any(a.split("=")[0] in PASSED_ON for a in arguments):
        if flags.unknown:
            _refuse(ConfigError(f"unknown flag {flags.unknown[0]}; see --help"))
        try:
            overrides = resumed_arguments(overrides)
            n_jobs = preflight(overrides, flags.config_dir)
            check_match(overrides, several=flags.multirun, folders=flags.config_dir)
            check_place(overrides, several=flags.multirun)
        except ConfigError as error:
            _refuse(error)
        if n_jobs > 1 and not flags.multirun:
            hint = in_one_run(overrides)
            _refuse(ConfigError(f"several values for one key make a sweep: add -m{hint}"))
        swept = swept_keys(parse(overrides))
        sys.argv[1:] = [*flags.rest, *overrides]
    name_folders(swept)

    def job(cfg: DictConfig) -> float | None:
        return _job(cfg, swept)

    hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job)()


def _split(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our flags, and the overrides; flags.rest are the flags that Hydra is to see."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--config-dir", "-cd", action="append", default=[])
    flags, others = parser.parse_known_args(list(arguments))
    overrides = [a for a in others if not a.startswith("-")]
    flags.rest = [a for a in others if a.startswith("-")]
    flags.unknown = [a for a in flags.rest if a.split("=")[0] not in (*PASSED_ON, "--run", "-r")]
    flags.rest += ["--multirun"] if flags.multirun else []
    flags.config_dir = [os.path.abspath(folder) for folder in flags.config_dir]
    if flags.config_dir:  # Hydra's own flag takes but one
        folders = ",".join(quoted(f"file://{folder}") for folder in flags.config_dir)
        flags.rest.append(f"hydra.searchpath=[{folders}]")
    return flags, overrides


class Action(Enum):
    """What to do with the folder of a job."""

    START = "start"
    START_ANEW = "set what is there aside, then start"
    RESUME = "resume"
    SKIP = "skip"


def _job(cfg: DictConfig, swept: Sequence[str]) -> float | None:
    """One job: skip, resume or start its run. Returns the validation loss.

    swept: the keys with several values in a sweep.
    """
    info = HydraConfig.get()
    folder = Path(info.runtime.output_dir)
    in_sweep = info.mode == RunMode.MULTIRUN
    if in_sweep:
        print(f"\n{folder.name}", flush=True)
    try:
        action = decide(folder, cfg, in_sweep=in_sweep)
        if action is Action.SKIP:
            print("finished before, skipped", flush=True)
            return read(folder).metrics.get("val/loss")
        if action is Action.START_ANEW:
            set_aside(folder)
        result = _train(cfg, info, swept, resume=action is Action.RESUME)
        return result.metrics.get("val/loss")
    except (KeyboardInterrupt, Stopped) as error:
        sys.exit(exit_code(error))
    except Exception as error:
        if not in_sweep:
            _refuse(error, folder)
        _record_failed_job(folder, error)
        return None


def decide(folder: Path, cfg: DictConfig, *, in_sweep: bool) -> Action:
    """What to do in a folder that may hold a run already.

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


def _train(cfg: DictConfig, info: Any, swept: Sequence[str], *, resume: bool) -> RunResult:
    limit_spinning()
    # Not at the top: torch takes seconds to import, and what is refused does not need it.
    from lightning_transformer.training.run import run
    from lightning_transformer.training.session import RunRequest

    request = RunRequest.of(
        Path(info.runtime.output_dir),
        list(info.overrides.task),
        info.runtime.choices,
        resume=resume,
        in_sweep=info.mode == RunMode.MULTIRUN,
        swept=swept,
    )
    return run(cfg, request)


def limit_spinning() -> None:
    """Let idle OpenMP threads spin for a few microseconds before they sleep; call before torch.

    Spinning long, the default, makes torch several times slower beside one more busy program; not
    spinning at all makes it slower on an idle machine. A policy of the user's own is kept.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def exit_code(error: BaseException) -> int:
    """2 = the configuration cannot work, 1 = any other failure, 128 + number = a signal."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    if isinstance(error, Stopped):
        return 128 + error.signum
    return 2 if isinstance(error, ConfigError) else 1


def _refuse(error: Exception, folder: Path | None = None) -> NoReturn:
    """Print what is wrong, in one line if the user can do something about it, and exit."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise error
    if isinstance(error, ConfigError | TrainingError) or folder is None:
        print(f"error: {error}", file=sys.stderr)
    else:
        print(
            f"error: {type(error).__name__}: {error}\n"
            f"traceback in {folder / TRACEBACK_FILE}, or with HYDRA_FULL_ERROR=1 here",
            file=sys.stderr,
        )
    sys.exit(exit_code(error))


def _record_failed_job(folder: Path, error: Exception) -> None:
    """Print the error, keep its traceback in the job's folder, and let the sweep go on."""
    print(f"failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    if not (folder / TRACEBACK_FILE).exists():
        (folder / TRACEBACK_FILE).write_text(traceback.format_exc(), encoding="utf-8")


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
        elif path.name != ".hydra" and not path.name.startswith("failed-"):
            shutil.move(path, aside / path.name)

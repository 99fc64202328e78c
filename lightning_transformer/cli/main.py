"""The command line: compose, check, say what is wrong in one line, then train.

torch is imported only after a configuration has passed every check that does not need it.
"""

import argparse
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from lightning_transformer import __version__
from lightning_transformer.checkpoint.store import FOLDER
from lightning_transformer.config.compose import (
    check_match,
    composer,
    differing_overrides,
    groups,
    preflight,
    register,
)
from lightning_transformer.config.help import help_page
from lightning_transformer.config.validate import plain
from lightning_transformer.distributed.rank_zero import is_first
from lightning_transformer.errors import ConfigError, TrainingError
from lightning_transformer.paths import CONF
from lightning_transformer.runs.naming import check_place
from lightning_transformer.runs.result import RESULT_FILE, read
from lightning_transformer.runs.secrets import redacted_overrides
from lightning_transformer.training.resume import AUTO, check_same, resumed_arguments, saved_config

# Hydra's own flags that only print something.
PASSED_ON = ("--hydra-help", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")


def main() -> None:
    """Entry point of `python -m lightning_transformer` and of the console script."""
    arguments = sys.argv[1:]
    flags, overrides = _split(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("lightning_transformer").setLevel(logging.INFO)
    register([os.path.abspath(folder) for folder in flags.config_dir])
    if flags.help:
        with composer() as loader:
            print(help_page(groups(loader)))
        return
    if flags.version:
        print(__version__)
        return
    if not any(a.split("=")[0] in PASSED_ON for a in arguments):
        if flags.unknown:
            _refuse(ConfigError(f"unknown flag {flags.unknown[0]}; see --help"))
        try:
            overrides = resumed_arguments(overrides)
            n_jobs = preflight(overrides)
            check_match(overrides, several=flags.multirun)
            check_place(overrides, several=flags.multirun)
        except ConfigError as error:
            _refuse(error)
        if n_jobs > 1 and not flags.multirun:
            _refuse(ConfigError("several values for one key make a sweep: add -m"))
        sys.argv[1:] = [*flags.rest, *overrides]
    hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(_job)()


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
    for folder in flags.config_dir:
        flags.rest += ["--config-dir", folder]
    return flags, overrides


def _refuse(error: Exception, code: int = 2) -> NoReturn:
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise error
    print(f"error: {error}", file=sys.stderr)
    sys.exit(code)


def _job(cfg: DictConfig) -> float | None:
    """One job: decide whether to skip, go on or start, then run it. Returns the validation loss."""
    info = HydraConfig.get()
    folder = Path(info.runtime.output_dir)
    in_sweep = info.mode == RunMode.MULTIRUN
    try:
        config = plain(cfg)
        resume = cfg.resume not in (None, AUTO)  # auto stays only where there is no checkpoint
        if in_sweep:
            print(f"\n{folder.name}", flush=True)
            before = read(folder) if (folder / RESULT_FILE).exists() else None
            if before is not None and before.status == "finished":
                print("finished before, skipped", flush=True)
                return before.metrics.get("val/loss")
            if before is not None and before.status == "failed":
                set_aside(folder)
            resume = before is not None and before.status != "failed"
        elif resume:
            check_same(saved_config(folder), config)
        elif (folder / RESULT_FILE).exists() and is_first():
            begun = (folder / FOLDER).exists() or read(folder).status != "failed"
            if begun and cfg.resume != AUTO:
                raise ConfigError(
                    f"{folder} holds a run already: go on with resume={folder}, or choose another "
                    "hydra.run.dir"
                )
            set_aside(folder)  # refused or broken before its first checkpoint
        # Waiting threads spin a few microseconds, then sleep. Spinning long, the default, makes
        # torch several times slower beside one more busy program; not at all, slower on an idle
        # machine. Read when torch is loaded; a policy of the user's own stands.
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault("GOMP_SPINCOUNT", "3000")
        from lightning_transformer.training.run import RunRequest, run

        choices = {k: str(v) for k, v in info.runtime.choices.items() if "/" not in k and v}
        overrides = redacted_overrides(list(info.overrides.task))
        differing = dict(o.split("=", 1) for o in differing_overrides(overrides))
        chosen = {k: v for k, v in choices.items() if any(o.startswith(f"{k}=") for o in overrides)}
        job = RunRequest(folder, choices, overrides, chosen, resume, in_sweep, differing)
        result = run(cfg, job)
    except KeyboardInterrupt:
        sys.exit(130)
    except ConfigError as error:
        if in_sweep:
            _failed_job(folder, error)
            return None
        _refuse(error)
    except TrainingError as error:
        if not in_sweep:
            _refuse(error, 1)
        _failed_job(folder, error)
        return None
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1" and not in_sweep:
            raise
        if in_sweep:
            _failed_job(folder, error)
            return None
        print(
            f"error: {type(error).__name__}: {error}\n"
            f"traceback in {folder / 'traceback.txt'}, or with HYDRA_FULL_ERROR=1 here",
            file=sys.stderr,
        )
        sys.exit(1)
    if result.status == "stopped":
        sys.exit(128 + job.signum)  # 130 after Ctrl-C, 143 after SIGTERM
    return result.metrics.get("val/loss")


def _failed_job(folder: Path, error: Exception) -> None:
    """Say it, leave it in the job's folder, and let the sweep go on."""
    print(f"failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    if not (folder / "traceback.txt").exists():
        (folder / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")


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

"""The package lm-eval, and the files of tasks that it reads; asked for only by --tasks."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning_transformer.errors import ConfigError

SEED = 1234  # of the examples in a prompt, as lm-eval's own command has it


@dataclass(frozen=True)
class TaskFile:
    """One task: the name that it has, and the file that describes it."""

    name: str
    path: Path


def check_files(paths: Sequence[Path]) -> None:
    """Refuse what is no file of a task, and --tasks without lm-eval; ConfigError, in one line."""
    for path in paths:
        if not path.is_file():
            kind = "is a folder" if path.is_dir() else "does not exist"
            raise ConfigError(f"--tasks {path}: it {kind}; give a task's YAML file, e.g. task.yaml")
    if paths and find_spec("lm_eval") is None:
        raise ConfigError(
            "--tasks needs the package lm-eval: pip install 'lightning-transformer[eval]'"
        )
    if paths:
        _offline()


def read_files(paths: Sequence[Path]) -> list[TaskFile]:
    """The name of the task in each file; ConfigError for another file, and for a name twice."""
    from lm_eval.tasks._yaml_loader import load_yaml

    found: dict[str, TaskFile] = {}
    for path in paths:
        try:
            # Functions that a file names are code: none is loaded before it is asked for its name.
            content = load_yaml(path, resolve_func=False)
        except Exception as error:  # of yaml, and of the reader
            raise ConfigError(f"--tasks {path}: {_one_line(error)}") from None
        name = content.get("task")
        if not isinstance(name, str) or "/" in name:
            raise ConfigError(
                f"--tasks {path}: `task` must be the name of one task, such as `task: sums`; a "
                "group is given as the files of its tasks"
            )
        if name in found:
            raise ConfigError(f"--tasks {path}: task {name} is that of {found[name].path} as well")
        found[name] = TaskFile(name, path)
    return list(found.values())


def load_task(file: TaskFile) -> Any:
    """The task of a file, with its data; ConfigError where it cannot be made.

    Nothing is fetched: data lie on this machine, unless the environment has HF_HUB_OFFLINE=0.
    """
    from lm_eval.tasks import TaskManager

    try:
        loaded = TaskManager(include_defaults=False).load([str(file.path)])
    except Exception as error:  # of the task, its data, or code that it names
        raise ConfigError(f"--tasks {file.path}: {_one_line(error)}") from None
    task = loaded["tasks"][file.name]
    if task.get_config("num_fewshot") is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=SEED)
    return task


def _offline() -> None:
    """Keep lm-eval and the library datasets from the network and from talking, before imports."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TQDM_DISABLE", "1")  # read as tqdm is imported, by torch among others
    logging.getLogger("lm_eval").setLevel(logging.ERROR)


def _one_line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]

"""The command line: compose, check, say what is wrong in one line, then train.

torch is imported only after a configuration has passed every check that does not need it.
"""

import argparse
import os
import sys
from collections.abc import Sequence

import hydra

from lightning_transformer import __version__
from lightning_transformer.cli.console import outlive_readers, show_log, write_any_character
from lightning_transformer.cli.data_command import LookRequest, look, split_step
from lightning_transformer.cli.exits import refuse
from lightning_transformer.cli.job import run_job
from lightning_transformer.cli.launched_jobs import watched_launchers
from lightning_transformer.config.compose import (
    check_launcher,
    check_match,
    composer,
    groups,
    parse,
    preflight,
    register,
)
from lightning_transformer.config.help import help_page
from lightning_transformer.config.job_names import shared_by_jobs
from lightning_transformer.config.overrides import in_one_run
from lightning_transformer.convert.init_from import started_arguments
from lightning_transformer.errors import ConfigError
from lightning_transformer.paths import CONF
from lightning_transformer.runs.naming import check_place
from lightning_transformer.training.resume import quoted, resumed_arguments

# Hydra's own flags that only print something.
PASSED_ON = ("--hydra-help", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")


def main() -> None:
    """Entry point of `python -m lightning_transformer` and of the console script."""
    write_any_character()
    outlive_readers()
    arguments = sys.argv[1:]
    flags, overrides = _split(arguments)
    show_log()
    register()
    for folder in flags.config_dir:
        if not os.path.isdir(folder):
            refuse(ConfigError(f"--config-dir={folder} is not a folder; name one that exists"))
    if flags.help:
        with composer(flags.config_dir) as loader:
            print(help_page(groups(loader)))
        return
    if flags.version:
        print(__version__)
        return
    if not any(a.split("=")[0] in PASSED_ON for a in arguments):
        if flags.unknown:
            refuse(ConfigError(f"unknown flag {flags.unknown[0]}; see --help"))
        try:
            step, overrides = split_step(overrides)
            overrides = started_arguments(overrides, flags.config_dir)
            if step is not None:
                looked = LookRequest(
                    tuple(overrides), step=step, n_tokens=0, config_dirs=tuple(flags.config_dir)
                )
                sys.exit(look(looked))
            overrides = resumed_arguments(overrides)
            n_jobs = preflight(overrides, flags.config_dir)
            check_launcher(overrides)
            check_match(overrides, several=flags.multirun, folders=flags.config_dir)
            check_place(overrides, several=flags.multirun)
        except ConfigError as error:
            refuse(error)
        if n_jobs > 1 and not flags.multirun:
            hint = in_one_run(overrides)
            refuse(ConfigError(f"several values for one key make a sweep: add -m{hint}"))
        shared = [shared_by_jobs(parse(overrides))] if flags.multirun else []
        sys.argv[1:] = [*flags.rest, *shared, *overrides]
    else:
        typed = [text for text in overrides if "=" in text]  # not the value of a flag
        try:
            found = started_arguments(typed, flags.config_dir)
        except ConfigError as error:
            refuse(error)
        sys.argv += found[: len(found) - len(typed)]
    with watched_launchers():
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(run_job)()


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

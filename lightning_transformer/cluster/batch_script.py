"""One run as a batch script: stopped by Slurm it is queued again, failed it is not."""

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.config.compose import composed, composer, preflight, register
from lightning_transformer.convert.init_from import started_arguments
from lightning_transformer.errors import ConfigError
from lightning_transformer.paths import PROGRAM
from lightning_transformer.runs.naming import RUNS, override_key
from lightning_transformer.training.resume import AUTO, resumed_arguments

OPTION = re.compile(r"--([a-z][a-z0-9-]*)(?:=([^\s\"'\\]+))?")
# What the script needs to be so, or takes from the configuration.
OWN = {
    "nodes": "trainer.num_nodes=N",
    "ntasks": "trainer.devices=N, processes of a node",
    "ntasks-per-node": "trainer.devices=N",
    "array": "one script for each run",
    "no-requeue": "a script of your own",
    "wrap": "a script of your own",
}
SIGNAL = re.compile(r"TERM@\d+")
# Job options of sbatch that srun does not take over by itself.
REPEATED = ("cpus-per-task",)
# A rank has this long to end after the first one has ended, in seconds.
WAIT = 300
HEADER = """\
#!/bin/bash
# Written by `{program}.cluster script`: one run on {nodes} x {tasks} processes.
{options}

# SIGTERM, when Slurm preempts the job or by --signal before its time limit, ends the run after its
# step with a checkpoint and exit code 143. Queued again, the job goes on from there: its number,
# and with it the folder, stays. A run that failed (exit code 1) or was refused (2) has ended.
{command}
code=$?
if [ "$code" -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code\""""


def batch_script(
    flags: Sequence[str], overrides: Sequence[str], config_dirs: Sequence[str] = ()
) -> str:
    """The script of a run, which `sbatch` takes.

    flags: options of sbatch, such as --time=08:00:00. config_dirs: folders of further options.
    Raises ConfigError, in one line, for a run that could not start or go on so.
    """
    options = _sbatch_options(flags)
    cfg = _checked(overrides, config_dirs)
    nodes, tasks = _processes(cfg)
    lines = {
        "job-name": "lightning_transformer",
        "nodes": str(nodes),
        "ntasks-per-node": str(tasks),
        "signal": "TERM@120",
        "open-mode": "append",
        "requeue": None,
    }
    texts = [_option(name, value) for name, value in (lines | options).items()]
    return HEADER.format(
        program=PROGRAM,
        nodes=nodes,
        tasks=tasks,
        options="\n".join(f"#SBATCH {text}" for text in texts),
        command=_command(options, overrides, config_dirs),
    )


def _sbatch_options(flags: Sequence[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for flag in flags:
        if flag in ("-m", "--multirun"):
            raise ConfigError(
                f"{flag}: a script is for one run; for a sweep add hydra/launcher=submitit_slurm "
                "to the sweep itself"
            )
        match = OPTION.fullmatch(flag)
        if match is None:
            raise ConfigError(
                f"{flag} must be an option of sbatch in its long form without spaces, such as "
                "--time=08:00:00"
            )
        name, value = match.groups()
        if name in OWN:
            raise ConfigError(f"--{name} is not taken: write {OWN[name]}")
        if name == "signal" and not SIGNAL.fullmatch(value or ""):
            raise ConfigError(
                f"{flag} must be TERM and the seconds before the time limit, such as "
                "--signal=TERM@300: after another signal the job would not be queued again"
            )
        found[name] = value
    return found


def _checked(overrides: Sequence[str], config_dirs: Sequence[str]) -> DictConfig:
    """The configuration of the run; in a folder that holds one already, of that one."""
    for folder in config_dirs:
        if not os.path.isdir(folder):
            raise ConfigError(f"--config-dir={folder} is not a folder; name one that exists")
    for text in overrides:
        if "=" not in text and not text.startswith("~"):
            raise ConfigError(f"{text} is no override; an option of sbatch is --NAME=VALUE")
        if override_key(text) == "resume" and text != f"resume={AUTO}":
            raise ConfigError(
                f"{text}: the script has resume=auto; to go on with a run give its folder as "
                "hydra.run.dir="
            )
    register()
    arguments = started_arguments(overrides, config_dirs)
    if any(override_key(text) == "hydra.run.dir" for text in overrides):
        arguments = resumed_arguments([*arguments, f"resume={AUTO}"])
    if preflight(arguments, config_dirs) > 1:
        raise ConfigError("several values for one key: a script is for one run")
    with composer(config_dirs):
        return composed(arguments)


def _processes(cfg: DictConfig) -> tuple[int, int]:
    """Nodes, and processes on each."""
    devices = None if OmegaConf.is_missing(cfg.trainer, "devices") else cfg.trainer.devices
    if not isinstance(devices, int):
        raise ConfigError(
            f"trainer.devices={devices} does not say how many processes a node is to start; "
            "write a number, such as trainer.devices=1"
        )
    return int(cfg.trainer.num_nodes), devices


def _command(
    options: Mapping[str, str | None], overrides: Sequence[str], config_dirs: Sequence[str]
) -> str:
    """srun and the program, a line each for what belongs together."""
    repeated = [_option(name, options[name]) for name in REPEATED if name in options]
    folders = [text for folder in config_dirs for text in ("--config-dir", folder)]
    typed = [text for text in overrides if text != f"resume={AUTO}"]
    words = [shlex.quote(text) for text in [*folders, *typed]]
    if not any(override_key(text) == "hydra.run.dir" for text in typed):
        words.append(f'hydra.run.dir="{RUNS}/job_$SLURM_JOB_ID"')
    parts = [
        shlex.join(["srun", f"--wait={WAIT}", *repeated]),
        shlex.join([sys.executable, *PROGRAM.split()[1:]]),
        *words,
        f"resume={AUTO}",
    ]
    return " \\\n    ".join(parts)


def _option(name: str, value: str | None) -> str:
    return f"--{name}" if value is None else f"--{name}={value}"

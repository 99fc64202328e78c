"""What a job asks the queue for, and the checks of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.errors import ConfigError

OPTION = re.compile(r"--([a-z][a-z0-9-]*)(=[^\s\"'\\]+)?")
# Options of sbatch that a job needs to be so, with what sets them.
OWN = {
    "nodes": "trainer.num_nodes",
    "ntasks": "trainer.devices",
    "ntasks-per-node": "trainer.devices",
    "gpus": "launcher.gpus",
    "gpus-per-node": "launcher.gpus",
    "cpus-per-task": "launcher.cpus",
    "mem": "launcher.memory",
    "time": "launcher.minutes",
    "partition": "launcher.partition",
    "account": "launcher.account",
    "qos": "launcher.qos",
    "constraint": "launcher.constraint",
    "signal": "compare run",
    "requeue": "compare run",
    "no-requeue": "compare run",
    "open-mode": "compare run",
    "job-name": "compare run",
    "output": "compare run",
    "error": "compare run",
    "array": "compare run",
    "wrap": "compare run",
    "parsable": "compare run",
    "hold": "compare run",
    "chdir": "compare run",
}


@dataclass(frozen=True)
class Resources:
    """What a job asks for.

    Attributes:
        nodes, tasks: of a run, and the processes of each node.
        cpus: of each process.
        gpus: of each node.
    """

    nodes: int = 1
    tasks: int = 1
    cpus: int = 1
    gpus: int = 0

    def options(self, pack: int = 1) -> list[str]:
        """As options of sbatch; pack: runs that share the job."""
        found = [
            f"--nodes={self.nodes}",
            f"--ntasks-per-node={self.tasks}",
            f"--cpus-per-task={self.cpus * pack}",
            "--requeue",
            "--open-mode=append",
            "--signal=TERM@120",
        ]
        return [*found, *([f"--gpus-per-node={self.gpus}"] if self.gpus else [])]


def check_value(key: str, value: int, least: int) -> None:
    """Refuse a number below the least one."""
    if value < least:
        raise ConfigError(f"{key}={value} must be at least {least}; use {key}={least}")


def check_extra(extra: Sequence[str]) -> None:
    """Refuse options of sbatch that a job sets itself, or in another form than --NAME=VALUE."""
    for text in extra:
        found = OPTION.fullmatch(text)
        if found is None:
            raise ConfigError(
                f"launcher.extra has {text}, which must be an option of sbatch in its long form "
                "without spaces, such as --exclude=n7"
            )
        if found[1] in OWN:
            raise ConfigError(
                f"launcher.extra has {text}, but {OWN[found[1]]} sets --{found[1]}; leave it out"
            )

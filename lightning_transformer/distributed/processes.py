"""Which process of a run this is and how many there are, read from the environment before torch."""

import os
from dataclasses import dataclass

from lightning_transformer.errors import ConfigError

# Set by launchers, and left behind by platforms that have started something else.
RANKS = ("RANK", "WORLD_SIZE")
PLACES = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class Started:
    """This process among those that a launcher has started of the same command.

    Attributes:
        followed: whether Lightning takes part in what this launcher starts.
    """

    launcher: str
    number: int
    rank: int
    followed: bool = True


def started() -> Started | None:
    """What a launcher has started; None for one process, and for those that Lightning starts.

    torchrun and Kubeflow set RANK and WORLD_SIZE, which count only beside the name of the one that
    set them. Slurm sets the number of tasks of an allocation, and srun that of its step.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return Started("torchrun", _number("WORLD_SIZE", 1), _number("RANK", 0))
    if (n := _number("SLURM_STEP_NUM_TASKS", 1)) > 1:
        return Started("srun", n, _number("SLURM_PROCID", 0))
    if (n := _number("OMPI_COMM_WORLD_SIZE", 1)) > 1:
        return Started("mpirun", n, _number("OMPI_COMM_WORLD_RANK", 0), followed=False)
    if (n := _number("PMI_SIZE", 1)) > 1:
        return Started("mpiexec", n, _number("PMI_RANK", 0), followed=False)
    by_kubeflow = {"KUBERNETES_PORT", "MASTER_ADDR", "MASTER_PORT", *RANKS} <= set(os.environ)
    if by_kubeflow and (n := _number("WORLD_SIZE", 1)) > 1:
        return Started("Kubeflow", n, _number("RANK", 0))
    return None


def is_first() -> bool:
    """Whether this process is the only one or rank 0 of all: it alone writes results and prints.

    Lightning sets LOCAL_RANK for the processes that it starts, beside a NODE_RANK of the user's.
    """
    launched = started()
    if launched is not None:
        return launched.rank == 0
    return _number("LOCAL_RANK", 0) == 0 and _number("NODE_RANK", 0) == 0


def check_started(devices: int | str, num_nodes: int) -> None:
    """Refuse another number of processes than the trainer's; forget what a platform left behind.

    devices, num_nodes: the trainer's; `auto` is as many as were started.
    Raises ConfigError in one line.
    """
    wanted = devices * num_nodes if isinstance(devices, int) else None
    launched = started()
    if launched is None:
        if wanted == 1:
            _forget(*RANKS, *PLACES)
        elif "LOCAL_RANK" not in os.environ:
            _forget(*RANKS)
        return
    n, launcher = launched.number, launched.launcher
    if not launched.followed:
        raise ConfigError(
            f"{n} processes were started by {launcher}, which Lightning does not follow: start "
            "one, or use torchrun or srun"
        )
    if wanted is not None and n != wanted:
        were = "process was" if n == 1 else "processes were"
        raise ConfigError(
            f"{n} {were} started by {launcher}, trainer.devices x trainer.num_nodes={wanted}: use "
            + (f"trainer=ddp trainer.devices={n}, or start one" if n > 1 else "trainer.devices=1")
        )


def n_started(devices: int | str, num_nodes: int) -> int | str:
    """The trainer's devices, or on each machine as many as a launcher has started, for auto."""
    launched = started()
    return launched.number // num_nodes if devices == "auto" and launched else devices


def check_folder_is_shared(typed: bool) -> None:
    """Refuse processes that would each name a folder after the time of their own start.

    typed: whether the user has said which folder.
    """
    launched = started()
    if launched is not None and launched.number > 1 and not typed:
        raise ConfigError(
            f"{launched.number} processes were started by {launched.launcher}, and each would name "
            "a folder of its own: add hydra.run.dir=outputs/runs/NAME"
        )


def _forget(*names: str) -> None:
    for name in names:
        os.environ.pop(name, None)


def _number(name: str, otherwise: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdigit() else otherwise

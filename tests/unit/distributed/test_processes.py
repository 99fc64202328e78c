"""Which process of a run this is, and how many were started."""

from __future__ import annotations

import os

import pytest

from lightning_transformer.distributed.processes import (
    check_folder_is_shared,
    check_started,
    is_first,
)
from lightning_transformer.errors import ConfigError

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}


@pytest.fixture
def variables(monkeypatch):
    """Set these variables and none of the others that launchers use."""
    launchers = ("RANK", "WORLD_SIZE", "LOCAL", "NODE_RANK", "GROUP_RANK", "TORCHELASTIC", "SLURM")

    def only(values):
        for name in list(os.environ):
            if name.startswith((*launchers, "OMPI", "PMI", "KUBERNETES", "MASTER")):
                monkeypatch.delenv(name)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return only


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"NODE_RANK": "0"}, True),
        ({"NODE_RANK": "1"}, False),
        ({"NODE_RANK": "1", "LOCAL_RANK": "0"}, False),
        ({**TORCHRUN, "RANK": "0"}, True),
        ({**TORCHRUN, "RANK": "8"}, False),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}, False),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"}, True),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, True),  # the batch script itself
        # Left behind: nobody who would use them has set them.
        ({"RANK": "1"}, True),
        ({"RANK": "3", "WORLD_SIZE": "8"}, True),
        ({"SLURM_PROCID": "3"}, True),
    ],
)
def test_one_process_of_all_is_the_first(variables, values, expected):
    variables(values)
    assert is_first() is expected


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({**TORCHRUN, "RANK": "0"}, "2 processes were started by torchrun"),
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"}, "2 processes were started by srun"),
        (
            {"KUBERNETES_PORT": "1", "MASTER_ADDR": "a", "MASTER_PORT": "1", "WORLD_SIZE": "2"}
            | {"RANK": "1"},
            "2 processes were started by Kubeflow",
        ),
    ],
)
def test_more_processes_than_the_trainer_has_are_refused(variables, values, line):
    variables(values)
    with pytest.raises(ConfigError, match=f"{line}.*use trainer=ddp trainer.devices=2, or start"):
        check_started(1, 1)
    check_started(2, 1)
    check_started(1, 2)
    check_started("auto", 1)


def test_fewer_processes_than_the_trainer_has_are_refused(variables):
    variables(TORCHRUN | {"WORLD_SIZE": "1"})
    with pytest.raises(ConfigError, match=r"1 process was started.*use trainer.devices=1$"):
        check_started(2, 1)


@pytest.mark.parametrize("prefix", ["OMPI_COMM_WORLD_", "PMI_"])
def test_launchers_that_lightning_does_not_follow_are_refused(variables, prefix):
    variables({f"{prefix}SIZE": "2", f"{prefix}RANK": "1"})
    with pytest.raises(ConfigError, match=r"2 processes were started by mpi.*use torchrun or srun"):
        check_started(2, 1)
    variables({f"{prefix}SIZE": "1"})
    check_started(1, 1)


def test_what_a_platform_left_behind_is_forgotten(variables):
    variables({"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "NODE_RANK": "2"})
    check_started(1, 1)
    assert not {"RANK", "WORLD_SIZE", "LOCAL_RANK", "NODE_RANK"} & set(os.environ)
    assert is_first()
    variables({"RANK": "1", "WORLD_SIZE": "4", "NODE_RANK": "0"})
    check_started(2, 1)  # Lightning will start the second one itself
    assert set(os.environ) & {"RANK", "WORLD_SIZE", "NODE_RANK"} == {"NODE_RANK"}
    variables({"WORLD_SIZE": "2", "LOCAL_RANK": "1", "NODE_RANK": "0"})
    check_started(2, 1)  # it is the second one
    assert os.environ["WORLD_SIZE"] == "2"


def test_processes_that_would_each_name_a_folder_are_refused(variables):
    variables({**TORCHRUN, "RANK": "1"})
    with pytest.raises(ConfigError, match=r"add hydra\.run\.dir=outputs/runs/NAME"):
        check_folder_is_shared(typed=False)
    check_folder_is_shared(typed=True)
    variables({})
    check_folder_is_shared(typed=False)

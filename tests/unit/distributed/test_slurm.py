"""What Lightning makes of an allocation of Slurm."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from lightning_transformer.distributed.slurm import slurm_environment
from lightning_transformer.training.trainer import TrainerOptions
from tests.helpers.short_runs import short_run

# As Slurm 22.05 sets them: for a batch script with --ntasks=2, and for the second task of srun.
BATCH = {
    "SLURM_JOB_ID": "17",
    "SLURM_JOB_NAME": "run.sh",
    "SLURM_NTASKS": "2",
    "SLURM_NNODES": "2",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}
TASK = {
    **BATCH,
    "SLURM_NTASKS_PER_NODE": "1",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_PROCID": "1",
    "SLURM_NODEID": "1",
}


@pytest.fixture
def allocation(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give `allocation(variables)`: the environment has these of Slurm and no others."""

    def enter(variables: dict[str, str]) -> None:
        for name in [n for n in os.environ if n.startswith(("SLURM_", "TORCHELASTIC_"))]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return enter


def test_outside_slurm_and_under_torchrun_lightning_chooses(allocation: Any) -> None:
    allocation({})
    assert slurm_environment(1) is None
    allocation({**TASK, "TORCHELASTIC_RUN_ID": "x"})
    assert slurm_environment(2) is None


def test_a_task_of_srun_is_one_of_several_and_never_queued_again(allocation: Any) -> None:
    allocation(TASK)
    found = slurm_environment(2)
    assert isinstance(found, SLURMEnvironment)
    assert (found.world_size(), found.global_rank(), found.node_rank()) == (2, 1, 1)
    assert found.auto_requeue is False


@pytest.mark.parametrize(
    "variables",
    [
        BATCH,
        {**BATCH, "SLURM_STEP_NUM_TASKS": "1"},  # srun --ntasks=1
        {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "2"},  # salloc
        {"SLURM_JOB_ID": "17"},  # left over
    ],
)
def test_one_process_of_an_allocation_is_one_process(
    allocation: Any, variables: dict[str, str]
) -> None:
    allocation(variables)
    found = slurm_environment(1)
    assert isinstance(found, LightningEnvironment)
    assert not found.creates_processes_externally


def test_several_nodes_need_srun(allocation: Any) -> None:
    allocation(BATCH)
    with pytest.raises(ValueError, match=r"^trainer.num_nodes=2 in an allocation .* needs srun"):
        slurm_environment(2)


def test_tasks_need_their_number_per_node(allocation: Any) -> None:
    allocation({k: v for k, v in TASK.items() if k != "SLURM_NTASKS_PER_NODE"})
    with pytest.raises(ValueError, match=r"^srun was not told .* --ntasks-per-node"):
        slurm_environment(2)


def test_an_environment_of_ones_own_is_kept(allocation: Any, tmp_path: Path) -> None:
    allocation(BATCH)
    own = LightningEnvironment()
    options = TrainerOptions(accelerator="cpu", plugins=[own])
    trainer = options.to_lightning(folder=tmp_path, logger=[], callbacks=[], wide=False)
    assert trainer._accelerator_connector.cluster_environment is own


def test_a_batch_script_without_srun_trains(allocation: Any, tmp_path: Path) -> None:
    """Lightning alone takes it for one of two tasks, and refuses."""
    allocation(BATCH)
    result = short_run(tmp_path / "run")
    assert (result.status, result.steps) == ("finished", 6)
    assert not list(tmp_path.rglob("hpc_ckpt*"))

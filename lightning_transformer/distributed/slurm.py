"""What Lightning is to make of Slurm: nothing is queued again or saved behind the run's back."""

import os

from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

from lightning_transformer.distributed.processes import started


def slurm_environment(num_nodes: int) -> ClusterEnvironment | None:
    """The environment of a process in an allocation of Slurm; None outside, or under torchrun.

    Left to itself Lightning takes each process in an allocation for a task of srun, also one that a
    batch script starts by itself, and at SIGUSR1 writes hpc_ckpt_1.ckpt and queues the job anew.

    num_nodes: the trainer's.
    Raises ValueError in one line for several nodes without srun, or tasks without their number per
    node.
    """
    if "SLURM_JOB_ID" not in os.environ or TorchElasticEnvironment.detect():
        return None
    launched = started()
    if launched is not None and launched.launcher == "srun":
        try:
            return SLURMEnvironment(auto_requeue=False)
        except RuntimeError:
            raise ValueError(
                "srun was not told how many tasks a node has; give it --ntasks-per-node, which is "
                "trainer.devices"
            ) from None
    if num_nodes > 1 and "NODE_RANK" not in os.environ:
        raise ValueError(
            f"trainer.num_nodes={num_nodes} in an allocation of Slurm needs srun, which starts a "
            "process on each node; `python -m lightning_transformer.cluster script` writes it"
        )
    return LightningEnvironment()
